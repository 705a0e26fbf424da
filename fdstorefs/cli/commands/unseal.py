"""`fdstorefs unseal BOX`: unseal a box."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs unseal blue
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("box", metavar="BOX", help="a box of yours")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Unseal."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        store.unseal(options.box)
    return 0
