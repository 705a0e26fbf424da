"""The files of a log: the one that is written to, and those that rotation left, some of them compressed."""

import gzip
import os
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

from fdstorefs.audit.reader import LONGEST_LINE

COMPRESSED = ".gz"
STDIN = "-"
_ROTATED = rf"(?:\.\d+|-\d{{8}}(?:-?\d+)?)(?:{re.escape(COMPRESSED)})?"
"""What logrotate puts behind a name: `.1`, or with `dateext` `-20261121`; and the suffix of gzip."""

_FIRST_WINDOW = 64 * 1024


def open_log(path: str) -> BinaryIO:
    """The file, unpacked if its name says that it is compressed; `-` is standard input. Raises OSError."""
    if path == STDIN:
        return open(0, "rb", closefd=False)
    if path.endswith(COMPRESSED):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return open(path, "rb")


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; what is longer than a line can be comes in pieces."""
    return iter(lambda: file.readline(LONGEST_LINE), b"")


def with_rotated(path: str) -> list[str]:
    """The file, and before it those that rotation made of it, in no particular order."""
    directory, name = os.path.split(path)
    rotated = re.compile(re.escape(name) + _ROTATED)
    found = filter(rotated.fullmatch, os.listdir(directory or "."))
    return [*(os.path.join(directory, each) for each in sorted(found)), path]


def windows_from_the_end(file: BinaryIO) -> Iterator[list[bytes]]:
    """The last lines of a file, then more of them, until all: for who looks for the last of something.

    A last line that has no end yet is left out. The file is left at the end of the last whole line.
    """
    size = file.seek(0, os.SEEK_END)
    window = min(_FIRST_WINDOW, size)
    while True:
        file.seek(size - window)
        *lines, rest = file.read(window).split(b"\n")
        file.seek(size - len(rest))
        whole = [line + b"\n" for line in lines]
        yield whole if window == size else whole[1:]
        if window == size:
            return
        window = min(2 * window, size)
