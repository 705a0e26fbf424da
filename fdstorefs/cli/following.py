"""Following a file that grows, through its rotation."""

import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

_PERIOD_SECONDS = 0.25


def _pause() -> None:
    # inotify would wake us at once, but it takes the C library, which one file alone may call. For somebody who
    # watches a log a quarter of a second is at once, and four calls to stat in a second are nothing.
    time.sleep(_PERIOD_SECONDS)


def follow(path: str, file: BinaryIO, wait: Callable[[], None] = _pause) -> Iterator[bytes]:
    """Each line that is written to the file from where it is read to, and to those that take its place.

    It goes on for ever. `wait` is called whenever there is nothing to read. The file is closed when another has
    taken its place.
    """
    rest = b""
    while True:
        # First look for a new file, then read the old one: what came before the change is not missed.
        successor = _successor(path, file)
        for line in file:
            rest += line
            if rest.endswith(b"\n"):
                yield rest
                rest = b""
        if successor is not None:
            if rest:
                yield rest
            file.close()
            file, rest = successor, b""
        elif os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # it was cut short: written anew from the start
            rest = b""
        else:
            wait()


def _successor(path: str, file: BinaryIO) -> BinaryIO | None:
    """The file that has the path now, if it is another."""
    try:
        other = open(path, "rb")
    except FileNotFoundError:  # between two steps of a rotation
        return None
    if os.path.sameopenfile(other.fileno(), file.fileno()):
        other.close()
        return None
    return other
