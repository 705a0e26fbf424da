"""The /dev/fuse descriptor: requests come out of it, answers and notices go in."""

import errno
import logging
import mmap
import os

from fdstorefs.server.fuse import protocol
from fdstorefs.server.fuse.call import Payload

log = logging.getLogger(__name__)

# ENOENT: the request was aborted while it was on its way to us. EINTR: it was interrupted in the queue.
_NO_REQUEST = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOENT})


class Unmounted(Exception):
    """The file system is unmounted, or its connection was aborted."""


class Device:
    """One connection to the kernel. `descriptor` must not block; it is the device's from now on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        # Pages that no request has reached take no memory, and few requests are long.
        self._buffer = mmap.mmap(-1, protocol.BUFFER, mmap.MAP_PRIVATE)
        self._view = memoryview(self._buffer)
        self._buffers = [self._buffer]

    def receive(self) -> memoryview | None:
        """The next request, valid until the next call; None if there is none. Raises Unmounted."""
        try:
            length = os.readv(self.descriptor, self._buffers)
        except OSError as error:
            if error.errno in _NO_REQUEST:
                return None
            if error.errno != errno.ENODEV:
                log.error("the connection to the kernel is broken: %s", error)
            raise Unmounted from error
        return self._view[:length]

    def answer(self, unique: int, error: int, payload: Payload = b"") -> None:
        """Answer a request: with an errno, or with 0 and a payload."""
        if not self._send([protocol.answer(unique, error, len(payload)), payload]):
            # The kernel dislikes it, and somebody waits. An answer without a payload it always takes.
            self._send([protocol.answer(unique, errno.EIO)])

    def forward(self, reply: bytes) -> None:
        """Send an answer that is a whole message already."""
        self._send([reply])

    def notify_poll(self, kh: int) -> None:
        """Wake whoever polls the handle `kh`. Harmless if nobody does."""
        self._send([protocol.poll_notice(kh)])

    def _send(self, parts: list[Payload]) -> bool:
        """Returns False where the kernel finds the message wrong."""
        try:
            os.writev(self.descriptor, parts)
        except OSError as error:
            # Nobody waits any more: a request that was aborted, a mount that is gone. `receive` will tell.
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return True
            log.error("the kernel refused an answer: %s", error)
            return False
        return True

    def close(self) -> None:
        """Close the connection: where no copy of it is left, the mount is dead."""
        os.close(self.descriptor)
