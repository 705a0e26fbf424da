"""Waiting for something to become true, and no longer than a deadline."""

import select
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return once the condition holds; fail after the deadline."""
    deadline = time.monotonic() + seconds
    pause = select.poll()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.poll(1)
