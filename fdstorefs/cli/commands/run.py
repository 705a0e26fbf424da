"""`fdstorefs run -- COMMAND`: a command in a namespace of its own, with its own instance."""

import os
from typing import TYPE_CHECKING

from fdstorefs.cli import serving
from fdstorefs.cli.failure import Failure, UsageError, say

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

MOUNT = "/run/fdstore"

EXAMPLES = """\
  fdstorefs run -- bash                        a shell; nobody outside sees what it stashes
  fdstorefs run --map-root -- ./start          the same, as root of the namespace
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument(
        "--map-root", action="store_true", help="be root in the new user namespace, instead of yourself"
    )
    serving.add_limits(parser)
    serving.add_enforcement(parser)


def run(options: "argparse.Namespace") -> int:
    """Enter the namespaces, start the instance, run the command, end the instance."""
    from fdstorefs.cli import background, supervision

    if not options.command:
        raise UsageError("no command to run", hint="give it after `--`: `fdstorefs run -- bash`")
    served = serving.serve_options(MOUNT, options)
    serving.check_policies(served)
    _enter(map_root=options.map_root)
    server = background.start(served, die_with_us=True)
    environment = {**os.environ, "FDSTOREFS_MOUNT": MOUNT}
    try:
        return supervision.run_to_the_end(options.command, environment, _warn_of)
    finally:
        background.end(server)


def _enter(*, map_root: bool) -> None:
    from fdstorefs.server.namespaces import NamespaceError, ensure_mount_point, enter_new_user_namespace

    try:
        enter_new_user_namespace(map_root=map_root)
        ensure_mount_point(MOUNT)
    except NamespaceError as error:
        raise Failure(error.message, hint=error.hint) from error


def _warn_of(_pid: int) -> None:
    from fdstorefs.client.store import connect
    from fdstorefs.errors import StoreError

    try:
        with connect(MOUNT):
            return  # it was the keeper, and there is another
    except StoreError:
        pass
    say("the instance has ended before the command", "what was stashed in it is closed")
