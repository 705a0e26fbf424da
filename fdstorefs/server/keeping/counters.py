"""Counters that outlive the server: numbers in memory that the keeper holds. Changing one is no system call."""

import mmap
import os

NAME = "fdstorefs-counters"
FILE, NAMESPACE = 3, 4
"""Places of the highest numbers that an open file and a user namespace were ever kept under. The audit log's are before
these."""

_BYTES = mmap.PAGESIZE


class Counters:
    """Numbers, each 0 at first, that `cells` has by their places. `fd` is the memory that they are in; owns it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _BYTES)
        # Native numbers in their natural places are stored whole: a kill leaves the old or the new one.
        self.cells = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls) -> "Counters":
        """New ones. Raises OSError."""
        fd = os.memfd_create(NAME, os.MFD_CLOEXEC)
        os.posix_fallocate(fd, 0, _BYTES)
        return cls(fd)

    def raise_to(self, place: int, number: int) -> None:
        """What is at this place is never less from now on."""
        if number > self.cells[place]:
            self.cells[place] = number

    def close(self) -> None:
        """Unmap them and close our descriptor."""
        self.cells.release()
        self._memory.close()
        os.close(self.fd)
