"""The loop, as far as the log needs it; `fdstorefs.server.loop.Loop` is one."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What `call_at` returns."""

    def cancel(self) -> None:
        """Call it off."""


class Runner(Protocol):
    """The loop, as far as the log needs it: one thread, and threads for what may block."""

    def in_thread(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        """Do `work` in a thread, then `done(its result)` in the loop."""

    def call_at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call in the loop at a time of time.monotonic()."""

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call in the next turn of the loop."""

    def when_idle(self, function: Callable[[], bool]) -> None:
        """Call when the loop has nothing else to do, until it returns False."""
