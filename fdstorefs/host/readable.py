"""Waiting for one descriptor, whatever its number: select(2) has none above 1023."""

import select


def becomes_readable(fd: int, seconds: float | None) -> bool:
    """Whether there is something to read, or its other end is gone, or, of a pidfd, its process: now or in so long.

    None is for as long as it takes.
    """
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(None if seconds is None else seconds * 1000))
