"""The journal's memory: a memfd that grows, whose room is there before it is needed."""

import fcntl
import logging
import os
from typing import NoReturn

from fdstorefs import __version__
from fdstorefs.errors import QuotaExceeded
from fdstorefs.server.keeping import frames

NAME = "fdstorefs-journal"
STEP = 64 * 1024
"""Bytes by which it grows."""

# Not in the standard library: fcntl.h.
_F_ADD_SEALS = 1033
_F_SEAL_SEAL, _F_SEAL_SHRINK = 0x1, 0x2

log = logging.getLogger(__name__)


class JournalMemory:
    """A memfd with a journal in it, which one process at a time appends to.

    The kernel has what was appended, whatever becomes of the process. `end` is where the next record goes. Owns its
    descriptor. Between `wait` and `go_on` nothing is written: another process appends.
    """

    def __init__(self, fd: int, end: int, sequence: int) -> None:
        self.fd = fd
        self.end = end
        self._sequence = sequence
        self._room = os.fstat(fd).st_size
        self._held_back: bytearray | None = None

    @classmethod
    def create(cls, identity: bytes) -> "JournalMemory":
        """An empty journal. Raises OSError."""
        fd = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            fcntl.fcntl(fd, _F_ADD_SEALS, _F_SEAL_SHRINK | _F_SEAL_SEAL)
            made = cls(fd, 0, 0)
            made.reserve(frames.HEADER_BYTES)
        except BaseException:
            os.close(fd)
            raise
        made._write(frames.header(identity, __version__))
        return made

    @classmethod
    def resume(cls, fd: int, contents: frames.Contents) -> "JournalMemory":
        """Go on with one that was read. Raises OSError."""
        memory = cls(fd, contents.end, contents.sequence)
        if contents.torn:
            os.pwrite(fd, bytes(memory._room - memory.end), memory.end)
        return memory

    def wait(self) -> None:
        """Hold back what is appended from now on, until `go_on`."""
        self._held_back = bytearray()

    @property
    def is_waiting(self) -> bool:
        """Whether what is appended is held back."""
        return self._held_back is not None

    def go_on(self) -> None:
        """It is this process that appends from now on: write what was held back."""
        held_back, self._held_back = self._held_back, None
        if held_back:
            self._write(bytes(held_back))

    @property
    def unused(self) -> int:
        """Bytes that were reserved and not written, and are not given back."""
        return self._room - self.end

    def reserve(self, size: int) -> None:
        """See to it that so many bytes can be appended. Raises QuotaExceeded."""
        if self.end + size <= self._room:
            return
        try:
            self._grow(size)
        except OSError as error:
            raise QuotaExceeded(
                f"there is no memory for what is to be kept of it ({error.strerror})",
                hint="try again, or give the server more memory",
            ) from error

    def _grow(self, size: int) -> None:
        more = -(-(self.end + size - self._room) // STEP) * STEP
        os.posix_fallocate(self.fd, self._room, more)
        self._room += more

    def append(self, kind: int, payload: bytes) -> None:
        """Append a record. Ends the process where it can't: nobody must be told of what is not in the journal."""
        self._sequence += 1
        self._write(frames.frame(kind, self._sequence, payload))

    def _write(self, data: bytes) -> None:
        if self._held_back is not None:
            self._held_back += data
            return
        size = len(data)
        try:
            if self.end + size > self._room:
                self._grow(size)
            written = os.pwrite(self.fd, data, self.end)
        except OSError as error:
            _end(error.strerror)
        if written != size:
            _end(f"{written} of {size} bytes were written")
        self.end += size

    def close(self) -> None:
        """Close our descriptor of it."""
        os.close(self.fd)


def read_memory(fd: int) -> bytes:
    """All that is in a journal."""
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _end(why: str | None) -> NoReturn:
    """The store has changed and the journal has not: let the keeper start a server that goes by the journal."""
    log.critical(
        "the journal cannot be written (%s): the server ends, and starts anew with what is in it", why
    )
    os.abort()
