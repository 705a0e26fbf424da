"""A file: appended to, found again after it was rotated, told to disk as its owner wishes."""

import errno
import os
import stat
from collections.abc import Sequence

from fdstorefs.audit.sinks.sink import Taken
from fdstorefs.audit.sinks.stream import LineWriter

MODE = 0o640
# Without NONBLOCK, opening a FIFO that somebody put there would wait for its reader.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class FileSink:
    """Appends to the regular file at `path`, which it makes if there is none (mode 0640, less the umask).

    Before each write it looks whether the path still leads to the file that is open: a file that was moved away or
    deleted is let go and the path opened anew. A file that was emptied in place goes on from its new end.
    `durable`: what is written is to survive a crash, so a file is told to disk before it is let go, and the
    directory when a file is made.
    """

    def __init__(self, path: str, *, durable: bool = False, sync_each: bool = False) -> None:
        self._path = path
        self._durable = durable
        self._sync_each = sync_each
        self._fd = -1
        self._lines = LineWriter()

    def open(self) -> None:
        """Open or make the file. Raises OSError, also where the path leads to anything but a regular file."""
        fd = os.open(self._path, _FLAGS, MODE)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", self._path)
            self._lines.torn = found.st_size > 0 and os.pread(fd, 1, found.st_size - 1) != b"\n"
            if self._durable and found.st_size == 0:
                self._sync_directory()
        except OSError:
            os.close(fd)
            raise
        self.close()
        self._fd = fd

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Append the lines to whatever file the path leads to now."""
        try:
            if self._fd < 0 or self._was_rotated():
                self._leave()
                self.open()
        except OSError as error:
            return Taken(0, error)
        taken = self._lines.write(self._fd, lines)
        if self._sync_each and taken.error is None:
            return Taken(taken.lines, self.sync())
        return taken

    def sync(self) -> OSError | None:
        """Tell what was written to disk."""
        if self._fd < 0:
            return None
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _leave(self) -> None:
        if self._durable and (error := self.sync()) is not None:
            self.close()
            raise error
        self.close()

    def _was_rotated(self) -> bool:
        opened = os.fstat(self._fd)
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (opened.st_dev, opened.st_ino)

    def _sync_directory(self) -> None:
        directory = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
