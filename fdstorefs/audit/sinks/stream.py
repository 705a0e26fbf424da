"""Lines into a descriptor: whole lines, and a torn one is ended before the next."""

import os
from collections.abc import Sequence

from fdstorefs.audit.sinks.sink import Taken

MOST_AT_ONCE = 256 * 1024
"""Bytes of one write(2); a longer line goes by itself."""


class LineWriter:
    """Writes lines to a descriptor that its owner opens and closes.

    `torn`: the last line there has no end. The next write begins with one, so that a torn line costs itself only.
    `most` is how many bytes go into one write(2): lines that fit into it together are written together.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self.torn = False
        self._most = most

    def write(self, fd: int, lines: Sequence[bytes]) -> Taken:
        """Write lines until all are written or an error comes."""
        count = 0
        while count < len(lines):
            chunk = self._chunk(lines, count)
            taken = self._write_chunk(fd, chunk)
            count += taken.lines
            if taken.error is not None:
                return Taken(count, taken.error)
        return Taken(count)

    def _chunk(self, lines: Sequence[bytes], first: int) -> Sequence[bytes]:
        size, last = len(lines[first]), first + 1
        while last < len(lines) and size + len(lines[last]) <= self._most:
            size += len(lines[last])
            last += 1
        return lines[first:last]

    def _write_chunk(self, fd: int, lines: Sequence[bytes]) -> Taken:
        prefix = b"\n" if self.torn else b""
        data = prefix + b"".join(lines)
        done = 0
        try:
            while done < len(data):
                done += os.write(fd, data[done:])
        except OSError as error:
            return Taken(self._whole(lines, len(prefix), done), error)
        self.torn = False
        return Taken(len(lines))

    def _whole(self, lines: Sequence[bytes], prefix: int, written: int) -> int:
        """How many lines were written to their end, and note whether one was not."""
        if written == 0:
            return 0
        end, count = prefix, 0
        while end + len(lines[count]) <= written:
            end += len(lines[count])
            count += 1
        self.torn = end != written
        return count
