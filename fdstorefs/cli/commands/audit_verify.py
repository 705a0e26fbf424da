"""`fdstorefs audit verify [FILE...]`: look for what is missing or damaged."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdstorefs.audit.verify import Numbers, Run
    from fdstorefs.cli.audit_log import Damages
    from fdstorefs.cli.parsing import Parser

MOST_SHOWN = 10

EXAMPLES = """\
  fdstorefs audit verify
  fdstorefs audit verify /var/log/fdstorefs/audit.jsonl*      with what was rotated away
  fdstorefs audit verify --json | jq '.runs[] | select(.missing != [])'

Records are numbered within each run of a server, and each says how many before it were lost.
So it shows if one was lost or taken out, comes twice, or has been altered into no record. What
does not show: an end that was cut off, a whole run that was taken out, a record that was replaced.
If somebody may do that who should not, send records to syslog or the journal as well.

The exit code is 0 if every record is there that was made, otherwise 1.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.audit_log import add_logs

    add_logs(parser)
    parser.add_json("what is found")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Read all, judge."""
    from fdstorefs.audit.verify import verify
    from fdstorefs.cli.audit_log import Damages, each_file, files

    damages = Damages()
    with each_file(files(options), damages) as streams:
        runs = verify(streams)
    is_whole = not damages.count and all(each.is_whole for each in runs)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        found = {"ok": is_whole, "damaged": damages.count, "runs": [each.as_json() for each in runs]}
        print(pretty(found))
    else:
        print("\n".join(lines(runs, damages)))
    damages.report()
    return 0 if is_whole else 1


def lines(runs: "list[Run]", damages: "Damages") -> "Iterator[str]":
    """What was found, for people: a line for each thing that is wrong, and one in the end."""
    from fdstorefs.cli.policies import counted

    for each in runs:
        yield from (f"{_run(each)}: {finding}" for finding in _findings(each))
    if damages.count:
        yield (
            "1 line that is no record" if damages.count == 1 else f"{damages.count} lines that are no records"
        )
    total = sum(each.records for each in runs)
    whole = not damages.count and all(each.is_whole for each in runs)
    judgement = "every record is there" if whole else "NOT every record is there"
    yield f"{counted(total, 'record')} of {counted(len(runs), 'run')}: {judgement}"


def _run(run: "Run") -> str:
    from fdstorefs.cli.audit_lines import local_time
    from fdstorefs.cli.visible import visible

    return f"{visible(run.instance)}, run {visible(run.run)} of {local_time(run.began)}"


def _findings(run: "Run") -> "Iterator[str]":
    from fdstorefs.audit.verify import count

    if run.beginning > 1:
        yield f"begins with number {run.beginning}; what was before is in none of these files"
    if run.missing:
        yield f"{count(run.missing)} missing without a word: {_ranges(run.missing)}"
    if run.lost:
        yield f"{run.lost} lost, as the log itself says"
    if run.repeated:
        yield f"{len(run.repeated)} there twice or out of order: {_numbers(run.repeated)}"
    if run.backwards:
        yield f"the clock goes back at {_numbers(run.backwards)}"


def _ranges(ranges: "list[Numbers]") -> str:
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in ranges[:MOST_SHOWN]]
    return ", ".join(shown) + _more(len(ranges))


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:MOST_SHOWN])) + _more(len(numbers))


def _more(number: int) -> str:
    return f" and {number - MOST_SHOWN} more" if number > MOST_SHOWN else ""
