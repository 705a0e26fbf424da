"""The store's own sockets, `.fdstore` and `.notify` in the root: bound by the server, never entries."""

import os
import stat
from dataclasses import dataclass

from fdstorefs.core.name import RESERVED
from fdstorefs.host import procfs

MODE = stat.S_IFSOCK | 0o666
"""Everybody who can reach the mount may connect; what he may do is decided for each call."""

_FIRST_INO = 1 << 47
"""Far above the numbers that entries get."""


@dataclass(frozen=True, slots=True)
class OwnSocket:
    """One bound socket: its name, inode number and owner, and when it was bound (ns since the epoch)."""

    name: str
    ino: int
    uid: int
    gid: int
    bound: int


class OwnSockets:
    """Which of the reserved names are bound. A name has the same inode number each time."""

    def __init__(self) -> None:
        self._inos = {name: _FIRST_INO + number for number, name in enumerate(sorted(RESERVED))}
        self._bound: dict[str, OwnSocket] = {}

    def find(self, name: str) -> OwnSocket | None:
        """The socket with this name, if it is bound."""
        return self._bound.get(name)

    def by_ino(self, ino: int) -> OwnSocket | None:
        """The socket with this inode number, if it is bound."""
        return next((one for one in self._bound.values() if one.ino == ino), None)

    def listing(self) -> list[tuple[str, OwnSocket]]:
        """All that are bound."""
        return sorted(self._bound.items())

    def bind(self, name: str, uid: int, gid: int, now: int) -> OwnSocket:
        """Make the name stand for a socket."""
        made = OwnSocket(name, self._inos[name], uid, gid, now)
        self._bound[name] = made
        return made

    def bind_again(self, socket: OwnSocket) -> None:
        """One that was bound when another server served."""
        self._inos[socket.name] = socket.ino
        self._bound[socket.name] = socket

    def unbind(self, name: str) -> None:
        """The name stands for nothing. Harmless if it did."""
        self._bound.pop(name, None)


def is_ours(tid: int) -> bool:
    """Whether a thread is one of this process."""
    try:
        return tid != 0 and procfs.read_task(tid).tgid == os.getpid()
    except ProcessLookupError:
        return False
