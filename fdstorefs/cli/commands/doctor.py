"""`fdstorefs doctor`: what this machine can do and how to get more."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs doctor
  fdstorefs doctor --json | jq '.[] | select(.state != "ok")'

The exit code is 1 if something is missing without which no instance can run here.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_json("the findings")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Examine, print, judge."""
    from fdstorefs.cli.checkup import can_serve, checkup, report

    findings = checkup(options.at)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty([finding._asdict() for finding in findings]))
    else:
        print("\n".join(report(findings)))
    return 0 if can_serve(findings) else 1
