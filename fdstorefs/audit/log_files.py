"""The files of a log: the one that is written to, and those that rotation left, some of them compressed."""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from fdstorefs.audit.reader import LONGEST_LINE

COMPRESSED = ".gz"
_FIRST_WINDOW = 64 * 1024


def open_log(path: str) -> BinaryIO:
    """The file, unpacked if its name says that it is compressed. Raises OSError."""
    if path.endswith(COMPRESSED):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return open(path, "rb")


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; what is longer than a line can be comes in pieces."""
    return iter(lambda: file.readline(LONGEST_LINE), b"")


def with_rotated(path: str) -> list[str]:
    """The file and those that rotation made of it (`.1`, `.2.gz`, ...), the oldest first."""
    directory, name = os.path.split(path)
    rotated = re.compile(rf"{re.escape(name)}\.(\d+)(?:{re.escape(COMPRESSED)})?")
    found = [
        (int(match[1]), str(Path(directory, each)))
        for each in os.listdir(directory or ".")
        if (match := rotated.fullmatch(each))
    ]
    return [each for _, each in sorted(found, reverse=True)] + [path]


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
