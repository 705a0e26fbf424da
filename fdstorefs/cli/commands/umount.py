"""`fdstorefs umount MOUNT`: the end of an instance."""

from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs umount /run/fdstore                its descriptors are closed
  fdstorefs umount --lazy /run/fdstore         even if somebody uses it, or its server is dead
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("mount", metavar="MOUNT", help="where the instance is mounted")
    parser.add_argument(
        "--lazy",
        action="store_true",
        help="take it out of sight now, and end it when nobody uses it any more",
    )


def run(options: "argparse.Namespace") -> int:
    """Unmount; the server ends by itself."""
    from fdstorefs.server.mounting import MountError, unmount

    try:
        unmount(options.mount, lazy=options.lazy)
    except MountError as error:
        raise Failure(error.message, hint=error.hint) from error
    return 0
