"""The doorway: the Unix socket `.fdstore` inside the mount, and the notice that the mount is gone.

A socket bound inside a mount keeps that mount busy. So it is bound through a private, detached copy of the
mount where we may make one: then umount(8) works as for any file system, and we notice that it happened.
Binding sends requests to the very server that binds, so it is done beside the loop, never in it.
"""

import logging
import os
import select
import socket
import time
from collections.abc import Callable

from fdstorefs.host import mount_table, procfs
from fdstorefs.server.loop import Loop, Timer

log = logging.getLogger(__name__)

SOCKET_NAME = ".fdstore"
BACKLOG = 128
AGAIN_SECONDS = 1.0
"""When a mount table that could not be read is looked at again."""


def bind(open_root: Callable[[], int]) -> socket.socket:
    """A listening socket `.fdstore` in the root of a mount that asks the kernel for the sender of every message.

    Blocks until the mount answers: call it in a thread.
    """
    root = open_root()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # Until somebody asks, the kernel believes that uid 0 owns the root. Where the user namespace has no uid 0
        # that makes it nobody's, and then nothing can be made in it.
        os.fstat(root)
        # Accepted sockets inherit it, so that even a client's first bytes come with its credentials.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        listening.bind(f"{procfs.path_of(root)}/{SOCKET_NAME}")
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(root)
    return listening


class MountWatch:
    """Calls `gone` once, in the loop, when no mount of `device` is left in a mount table, whose descriptor it owns."""

    def __init__(self, loop: Loop, table: int, device: int, gone: Callable[[], None]) -> None:
        self._loop = loop
        self._device = device
        self._gone: Callable[[], None] | None = gone
        self._again: Timer | None = None
        self._table = table
        loop.register(self._table, self._changed, select.EPOLLPRI)

    def _changed(self, _events: int) -> None:
        self._look()

    def _look(self) -> None:
        if self._gone is None:
            return
        try:
            # The descriptor that is watched: a new one may not be had.
            table = mount_table.parse(procfs.read_all(self._table))
        except OSError as error:
            # The kernel tells of a change once, and the loop drops who fails.
            log.warning("the mount table cannot be read, and is looked at again: %s", error.strerror)
            self._look_again()
            return
        if table.is_whole and table.on_device(self._device) is None:
            gone, self._gone = self._gone, None
            gone()

    def _look_again(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = self._loop.call_at(time.monotonic() + AGAIN_SECONDS, self._look)

    def close(self) -> None:
        """Stop watching."""
        self._gone = None
        if self._again is not None:
            self._again.cancel()
        self._loop.unregister(self._table)
        os.close(self._table)
