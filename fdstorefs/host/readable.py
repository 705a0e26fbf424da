"""Waiting for one descriptor, whatever its number: select(2) has none above 1023."""

import select


def becomes_readable(fd: int, seconds: float) -> bool:
    """Whether there is something to read, or its other end is gone, or, of a pidfd, its process: now or in so long."""
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def wait_until_readable(fd: int) -> None:
    """Wait for the same, for as long as it takes."""
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    waiting.poll()
