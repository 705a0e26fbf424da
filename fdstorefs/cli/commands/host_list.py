"""`fdstorefs host list`: the instances of containers."""

from typing import TYPE_CHECKING

from fdstorefs.cli import hosting

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs host list                          those that you may end: all of them, for root
  fdstorefs host list --json

PROCESS is the one that the instance ends with: the container's first.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    hosting.add_socket(parser)
    parser.add_json("them")


def run(options: "argparse.Namespace") -> int:
    """Print them."""
    from fdstorefs.client import host

    found = host.instances(hosting.socket_of(options))
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty([hosting.as_json(each) for each in found]))
        return 0
    from fdstorefs.cli.columns import align
    from fdstorefs.cli.visible import visible

    rows = [("PROCESS", "MOUNT", "UID", "KEEPER", "SERVER")]
    rows += [
        (str(each.first), visible(each.mount), str(each.uid), str(each.keeper), str(each.server or "-"))
        for each in found
    ]
    for line in align(rows):
        print(line)
    return 0
