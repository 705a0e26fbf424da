"""`fdstorefs doctor`: what this machine can do and how to get more."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs doctor
  sudo fdstorefs doctor                        also what only root can tell: what is in force in the kernel
  fdstorefs doctor --json | jq '.[] | select(.state != "ok")'
  fdstorefs doctor --json | jq -r '.[] | select(.check == "enforcer") | .found'

The exit code is 1 if something is missing without which no instance can run here; that policies are
not enforced by the kernel is no such thing.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.enforcer.options import PINS

    parser.add_json("the findings")
    parser.add_at()
    parser.add_enforcer()
    parser.add_argument(
        "--pins",
        default=PINS,
        metavar="DIR",
        help=f"where that enforcer pins what is in force (default: {PINS})",
    )


def run(options: "argparse.Namespace") -> int:
    """Examine, print, judge."""
    from fdstorefs.cli.checkup import can_serve, checkup, report

    findings = checkup(options.at, options.enforcer, options.pins)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty([finding._asdict() for finding in findings]))
    else:
        print("\n".join(report(findings)))
    return 0 if can_serve(findings) else 1
