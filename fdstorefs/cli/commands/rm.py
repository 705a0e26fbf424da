"""`fdstorefs rm NAME...`: discard entries."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs rm web                             closes it, if that was its last name
  fdstorefs rm old-1 old-2                     both or none
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("names", metavar="NAME", nargs="+", help="an entry")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Discard."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        store.discard(*options.names)
    return 0
