"""`fdstorefs audit tail [FILE]`: print the last records, and new ones as they come."""

import sys
from typing import TYPE_CHECKING, BinaryIO

from fdstorefs.cli.failure import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from fdstorefs.audit.query import Test
    from fdstorefs.audit.reader import Damage, Record
    from fdstorefs.cli.parsing import Parser

DEFAULT_LINES = 10

EXAMPLES = """\
  fdstorefs audit tail                                  the last ten records of the instance
  fdstorefs audit tail -n 3 --decided deny              what a policy that monitors would refuse
  fdstorefs audit tail -f --verdict deny                and each denial as it happens
  fdstorefs audit tail -f --json /var/log/fdstorefs/audit.jsonl | jq -r .entry.name

Given twice, a filter takes either value; different filters must all fit.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.audit_filters import add_filters
    from fdstorefs.cli.parsing import number

    parser.add_argument("log", metavar="FILE", nargs="?", help="the log; the instance's own if none is given")
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with new records, also after a rotation, until Ctrl-C",
    )
    parser.add_argument(
        "-n",
        "--lines",
        type=number,
        default=DEFAULT_LINES,
        metavar="N",
        help=f"begin with the last N records that fit (default: {DEFAULT_LINES})",
    )
    add_filters(parser)
    parser.add_json("each record in a line")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Print the last ones, then follow."""
    from fdstorefs.audit.log_files import COMPRESSED, STDIN, open_log
    from fdstorefs.cli.audit_filters import tests_of
    from fdstorefs.cli.audit_log import log_of_instance

    tests = tests_of(options)
    path = options.log or log_of_instance(options.at)
    if options.follow and (path == STDIN or path.endswith(COMPRESSED)):
        raise UsageError(f"`{path}` can't be followed", hint="leave `--follow` out")
    write = _printer(as_json=options.json)
    file = open_log(path)
    for record in _last(file, path, options.lines, tests):
        write(record)
    if options.follow:
        _follow(file, path, tests, write)
    file.close()
    return 0


def _last(file: BinaryIO, path: str, number: int, tests: "list[Test]") -> "list[Record]":
    """The last records that fit. No more of the file is read than that takes, if it can be read backwards."""
    from fdstorefs.audit.log_files import COMPRESSED, lines_of, windows_from_the_end
    from fdstorefs.audit.query import matching
    from fdstorefs.audit.reader import read

    in_reverse = file.seekable() and not path.endswith(COMPRESSED)
    found: list[Record] = []
    damaged: list[Damage] = []
    for lines in windows_from_the_end(file) if in_reverse else [lines_of(file)]:
        damaged.clear()
        found = list(matching(read(lines, path, damaged.append), tests))
        if len(found) >= number:
            break
    for damage in damaged:
        _tell(path, damage.why)
    return found[-number:] if number else []


def _follow(file: BinaryIO, path: str, tests: "list[Test]", write: "Callable[[Record], None]") -> None:
    from fdstorefs.audit.reader import NoRecord, parse
    from fdstorefs.cli.following import follow

    for line in follow(path, file):
        try:
            record = parse(line)
        except NoRecord as error:
            _tell(path, str(error))
            continue
        if all(test(record) for test in tests):
            write(record)


def _tell(path: str, why: str) -> None:
    from fdstorefs.cli.visible import printable

    print(f"fdstorefs: {printable(path)}: a line is no record: {printable(why)}", file=sys.stderr)


def _printer(*, as_json: bool) -> "Callable[[Record], None]":
    from fdstorefs.cli.audit_lines import lines
    from fdstorefs.cli.colour import wants_colour
    from fdstorefs.cli.json_output import in_one_line

    in_colour = wants_colour(sys.stdout)

    def write(record: "Record") -> None:
        for line in [in_one_line(record)] if as_json else lines(record, in_colour=in_colour):
            print(line, flush=True)

    return write
