"""`fdstorefs audit query [FILE...]`: find records."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdstorefs.audit.reader import Record
    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs audit query --since 1h --verdict deny
  fdstorefs audit query --entry 'listen/**' --subject uid:www-data --subject cgroup:/system.slice
  fdstorefs audit query --rule nobody-borrows-power --json audit.jsonl audit.jsonl.*.gz
  journalctl -o cat --output-fields=FDSTOREFS_RECORD -t fdstorefs | fdstorefs audit query -
  fdstorefs audit query --json | jq -r '.[] | select(.type == "policy-load") | .ts'

Given twice, a filter takes either value (a subject's keys are filters of their own); different
filters must all fit. A line that is no record is told of on stderr and passed over.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.audit_filters import add_filters
    from fdstorefs.cli.audit_log import add_logs

    add_logs(parser)
    add_filters(parser)
    parser.add_json("a list of records")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Read, print."""
    from fdstorefs.audit.query import matching
    from fdstorefs.cli.audit_filters import tests_of
    from fdstorefs.cli.audit_log import files, records

    tests = tests_of(options)
    with records(files(options)) as (found, _):
        for line in _output(matching(found, tests), as_json=options.json):
            print(line)
    return 0


def _output(found: "Iterator[Record]", *, as_json: bool) -> "Iterator[str]":
    if as_json:
        from fdstorefs.cli.json_output import list_as_it_comes

        yield from list_as_it_comes(found)
        return
    from fdstorefs.cli.audit_lines import lines
    from fdstorefs.cli.colour import wants_colour

    in_colour = wants_colour(sys.stdout)
    for record in found:
        yield from lines(record, in_colour=in_colour)
