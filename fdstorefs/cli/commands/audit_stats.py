"""`fdstorefs audit stats [FILE...]`: count records."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections import Counter

    from fdstorefs.audit.stats import Stats, Tally
    from fdstorefs.cli.parsing import Parser

MOST_SHOWN = 10

EXAMPLES = """\
  fdstorefs audit stats --since today
  fdstorefs audit stats --verdict deny --entry 'listen/**'
  fdstorefs audit stats --json | jq '.rules | keys'      which rules ever decided

For people, the ten that were denied most; as JSON, all.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.audit_filters import add_filters
    from fdstorefs.cli.audit_log import add_logs

    add_logs(parser)
    add_filters(parser)
    parser.add_json("all counts")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Count, print."""
    from fdstorefs.audit.query import matching
    from fdstorefs.audit.stats import count
    from fdstorefs.cli.audit_filters import tests_of
    from fdstorefs.cli.audit_log import files, records

    tests = tests_of(options)
    with records(files(options)) as (found, damages):
        stats = count(matching(found, tests))
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty({**stats.as_json(), "damaged": damages.count}))
    else:
        print("\n".join(lines(stats)))
    return 0


def lines(stats: "Stats") -> list[str]:
    """The counts, for people."""
    from fdstorefs.cli.audit_lines import local_time
    from fdstorefs.cli.columns import fields

    overruled = f", {stats.overruled} of these against a policy that monitors" if stats.overruled else ""
    between = None
    if stats.first is not None and stats.last is not None:
        between = f"{local_time(stats.first)} to {local_time(stats.last)}"
    said = fields(
        [
            ("records", str(stats.records)),
            ("between", between),
            ("allowed", f"{stats.verdicts['allow']}{overruled}"),
            ("denied", str(stats.verdicts["deny"])),
            ("events", _list(stats.events)),
            ("reasons", _list(stats.reasons)),
            ("lost", str(stats.lost) if stats.lost else None),
        ]
    )
    tables = {"ACTION": stats.actions, "RULE": stats.rules, "SUBJECT": stats.subjects, "ENTRY": stats.entries}
    for title, tally in tables.items():
        said += _table(title, tally)
    return said


def _list(counter: "Counter[str]") -> str | None:
    from fdstorefs.cli.visible import visible

    return ", ".join(f"{visible(word)} {times}" for word, times in counter.most_common()) or None


def _table(title: str, tally: "Tally") -> list[str]:
    from fdstorefs.audit.stats import by_name
    from fdstorefs.cli.columns import align
    from fdstorefs.cli.visible import visible

    counted = by_name(tally)
    if not counted:
        return []
    rows = [
        (str(times["deny"]), str(times["allow"]), visible(name))
        for name, times in list(counted.items())[:MOST_SHOWN]
    ]
    more = [f"and {len(counted) - MOST_SHOWN} more"] if len(counted) > MOST_SHOWN else []
    return ["", *align([("DENIED", "ALLOWED", title), *rows]), *more]
