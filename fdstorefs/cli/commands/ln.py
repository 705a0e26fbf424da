"""`fdstorefs ln NAME SECOND`: a second name for an entry."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs ln web blue/web                    one open file, two names
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("name", metavar="NAME", help="an entry")
    parser.add_argument("second", metavar="SECOND", help="its second name")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Link."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        store.link(options.name, options.second)
    return 0
