"""Running a loop in a test until something holds."""

import time
from collections.abc import Callable

from fdstorefs.server.loop import Loop


def run_until(loop: Loop, condition: Callable[[], bool], patience: float) -> None:
    """Run the loop until it holds, and no longer than `patience` seconds."""
    deadline = time.monotonic() + patience

    def look() -> None:
        if condition() or time.monotonic() > deadline:
            loop.stop()
        else:
            loop.call_at(time.monotonic() + 0.002, look)

    loop.call_soon(look)
    loop.run()
    assert condition()
