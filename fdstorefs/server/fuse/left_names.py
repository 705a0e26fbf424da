"""Names that went otherwise than through the mount: the kernel is told of them, as it remembers what it has looked up.

It asks again before it believes a name, so nobody is deceived; but until then, or until it is short of memory, it
keeps the inode, and we would keep the node. To be told it needs the lock of the directory, which it also holds while
a request waits for us. So a thread tells it, while the loop answers.
"""

import errno
import logging
import os
from collections import deque

from fdstorefs.core.name import encode
from fdstorefs.core.node import Box
from fdstorefs.core.tree import Tree
from fdstorefs.host.descriptors import close_copy, copy_for_thread
from fdstorefs.server.fuse import protocol
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.loop import Loop

AT_ONCE = 64

# It has forgotten the name, the directory, or the mount.
_NOT_KNOWN = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV})

log = logging.getLogger(__name__)


class LeftNames:
    """Tells the kernel behind `device` of each name in `tree` that has left something the kernel knows."""

    def __init__(self, loop: Loop, device: Device, tree: Tree) -> None:
        self._loop = loop
        self._device = device
        self._tree = tree
        self._todo: deque[tuple[int, str]] = deque()
        self._is_busy = False
        tree.left = self._left

    def _left(self, box: Box, name: str) -> None:
        self._todo.append((box.ino, name))
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        """Of some of them. The thread has a descriptor of its own: the loop may close the device meanwhile."""
        some = [self._todo.popleft() for _ in range(min(AT_ONCE, len(self._todo)))]
        if not some or self._tree.left is None:
            self._is_busy = False
            return
        try:
            copy = copy_for_thread(self._device.descriptor)
        except OSError as error:
            # What is not told now the kernel finds out by itself, when it asks or wants its memory back.
            log.warning("the kernel is not told of %d names that are gone: %s", len(some), error.strerror)
            self._is_busy = False
            return
        self._loop.in_thread(lambda: _tell_all(copy, some), self._told)

    def _told(self, result: Exception | None) -> None:
        if result is not None:
            log.error("the kernel could not be told of names that are gone: %s", result)
        self._tell()

    def close(self) -> None:
        """Tell of nothing any more."""
        self._tree.left = None
        self._todo.clear()


def _tell_all(descriptor: int, names: list[tuple[int, str]]) -> None:
    try:
        for parent, name in names:
            try:
                os.write(descriptor, protocol.left_name_notice(parent, encode(name)))
            except OSError as error:
                if error.errno not in _NOT_KNOWN:
                    raise
    finally:
        close_copy(descriptor)
