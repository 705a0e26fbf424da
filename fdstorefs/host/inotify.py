"""Inotify: what changes in directories."""

import os
import struct
from typing import NamedTuple

from fdstorefs.host import syscalls

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x0100_0000

CHANGES = (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE) | (
    IN_DELETE_SELF | IN_MOVE_SELF
)
"""Everything that makes a directory, or a file in it, another than it was."""

_HEADER = struct.Struct("=iIII")
_READ_BYTES = 65536


class Event(NamedTuple):
    """Something happened: to `name` in the directory that the watch `number` is on, to that itself if it is empty.

    Number -1 with IN_Q_OVERFLOW: events were lost.
    """

    number: int
    mask: int
    name: str


class Inotify:
    """Watches of directories. Its descriptor is readable when there are events."""

    def __init__(self) -> None:
        """Raises OSError: EMFILE if this user has as many as the sysctl fs.inotify.max_user_instances allows."""
        self._fd = syscalls.inotify_init()

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def add(self, directory: str, events: int = CHANGES) -> int:
        """Watch a directory for some events; the number of the watch, the same one for the same directory."""
        return syscalls.inotify_add_watch(self._fd, directory, events | IN_ONLYDIR)

    def remove(self, number: int) -> None:
        """Watch a directory no more. Raises OSError(EINVAL) if the watch has ended by itself."""
        syscalls.inotify_rm_watch(self._fd, number)

    def read(self) -> list[Event]:
        """The events that have come, none if there are none."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return []
        return _events(data)

    def close(self) -> None:
        """End all watches."""
        os.close(self._fd)


def _events(data: bytes) -> list[Event]:
    events = []
    at = 0
    while at < len(data):
        number, mask, _cookie, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        name = data[at : at + length].rstrip(b"\0")
        events.append(Event(number, mask, os.fsdecode(name)))
        at += length
    return events
