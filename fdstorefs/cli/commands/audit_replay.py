"""`fdstorefs audit replay FILE --policy P...`: decide what is on record again, with other policies."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdstorefs.audit.replay import Comparison, Replayed
    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs audit replay audit.jsonl --policy new.yaml
  fdstorefs audit replay --policy /etc/fdstorefs/policies --policy new.yaml --since yesterday audit.jsonl
  fdstorefs audit replay audit.jsonl --policy new.yaml --json | jq '.different[] | .record.subject.comm'

Try a policy out on what really happened, before it is in force. Verdicts that are in force are
compared. What hangs on something that is not on record is counted, never guessed.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.audit_filters import add_filters
    from fdstorefs.cli.audit_log import add_logs

    add_logs(parser)
    parser.add_argument(
        "--policy",
        action="append",
        required=True,
        metavar="POLICY",
        help="decide with this policy, or those in this directory; given twice: with all of them together",
    )
    add_filters(parser)
    parser.add_json("the differences")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Decide again, compare, print."""
    from fdstorefs.audit.query import matching
    from fdstorefs.audit.replay import compare
    from fdstorefs.cli.audit_filters import tests_of
    from fdstorefs.cli.audit_log import files, records
    from fdstorefs.cli.policies import usable
    from fdstorefs.policy.compile import compile_policies

    tests = tests_of(options)
    tables = compile_policies(usable(options.policy).policies)
    with records(files(options)) as (found, _):
        outcome = compare(matching(found, tests), tables)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(outcome.as_json()))
    else:
        print("\n".join(lines(outcome)))
    return 0


def lines(comparison: "Comparison") -> "Iterator[str]":
    """The differences, for people, and how many records there were of each sort."""
    from fdstorefs.cli.columns import align

    if comparison.different:
        yield from align([_HEADER, *map(_row, comparison.different)])
        yield ""
    yield f"{comparison.same} as before, {len(comparison.different)} otherwise"
    for obstacle, times in comparison.obstacles.most_common():
        yield f"{times} not decided again: {obstacle.value}"


_HEADER = ("WHEN", "WAS", "WOULD BE", "ACTION", "ENTRY", "SUBJECT", "BY")


def _row(replayed: "Replayed") -> tuple[str, ...]:
    from fdstorefs.audit.query import names
    from fdstorefs.cli.audit_lines import local_time, outcome, shown, subject
    from fdstorefs.cli.visible import visible

    record = replayed.record
    return (
        local_time(record["ts"]),
        outcome(record),
        "allow" if replayed.allowed else "deny",
        shown(record["action"]),
        visible(names(record)[0]),
        subject(record["subject"]),
        ", ".join(map(visible, replayed.rules)) or "no rule allows it",
    )
