"""`fdstorefs mv FROM TO`: rename."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs mv web old-web                     fails if there is an `old-web`
  fdstorefs mv --replace new-web web           the switch is atomic
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("source", metavar="FROM", help="an entry or a box")
    parser.add_argument("goal", metavar="TO", help="its new name")
    parser.add_argument("--replace", action="store_true", help="replace what has that name")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Rename."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        store.rename(options.source, options.goal, replace=options.replace)
    return 0
