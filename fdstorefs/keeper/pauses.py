"""Pauses before the next server: the longer, the more in a row came to nothing."""

import signal

from fdstorefs.keeper.saying import say
from fdstorefs.keeper.signals import Signals

_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Before the next start, after so many failures in a row."""


class Pauses:
    """Between servers of one keeper."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._failures = 0

    def note(self, *, has_served: bool) -> None:
        """How far a server has come."""
        self._failures = 0 if has_served else self._failures + 1

    def wait(self, why: str, held: int) -> int | None:
        """Say why another server is to start, and wait. Returns an exit code if told to end."""
        seconds = _SECONDS[min(self._failures, len(_SECONDS) - 1)]
        when = f" in {seconds} s" if seconds else ""
        say(f"{why}; {held} descriptors are held, and another server starts{when}")
        if not self._signals.heard_to_end(seconds):
            return None
        say("told to end while there is no server")
        return 128 + signal.SIGTERM
