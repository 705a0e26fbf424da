"""`fdstorefs umount MOUNT`: the end of an instance."""

import os
import select
import signal
import socket
import struct
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

_PATIENCE_SECONDS = 10

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

    if not options.lazy and (server := _server_that_keeps_it_busy(options.mount)) is not None:
        return _end(server, options.mount)
    try:
        unmount(options.mount, lazy=options.lazy)
    except MountError as error:
        raise Failure(error.message, hint=error.hint) from error
    return 0


def _server_that_keeps_it_busy(mount: str) -> int | None:
    """A pidfd of the server, if its own socket is in the way of unmounting and it is ours to end.

    Mounted through fusermount3, the instance's socket can't be bound beside the mount.
    """
    from fdstorefs.client.address import open_socket
    from fdstorefs.client.store import connect
    from fdstorefs.errors import StoreError

    try:
        with connect(mount) as store, open_socket(mount) as connected:
            status = store.status()
            credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except StoreError:
        return None  # whatever is mounted there, unmounting it says what is wrong
    pid, uid, _gid = struct.unpack("iII", credentials)
    ours = status.method == "fusermount3" and pid == status.pid and uid == os.geteuid()
    return os.pidfd_open(pid) if ours else None


def _end(server: int, mount: str) -> int:
    """Tell the server to end, which unmounts, and wait until it has."""
    signal.pidfd_send_signal(server, signal.SIGTERM)
    if not select.select([server], [], [], _PATIENCE_SECONDS)[0]:
        hint = f"`fdstorefs umount --lazy {mount}` takes the mount away at once"
        raise Failure(f"the server of `{mount}` does not end", hint=hint)
    os.close(server)
    return 0
