"""Releases that wait: what the kernel still guards and this instance keeps no more, while the enforcer is away.

What the server received is delivered to nobody until it is classified. If it was then refused, or is discarded while
the enforcer starts anew, its owner could not pass it on any more. So it is kept open until the enforcer can be told,
but not for long, and not many: a socket that stays open looks to its peer as if it were still in use.
"""

import logging
import time
from collections.abc import Callable, Sequence

from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop, Timer

MOST_WAITING = 32
LONGEST_SECONDS = 30.0

log = logging.getLogger(__name__)


class Releases:
    """Descriptors of open files that the enforcer is to be told of; copies, which this object owns."""

    def __init__(self, loop: Loop, descriptors: Descriptors) -> None:
        self._loop = loop
        self._descriptors = descriptors
        self._waiting: list[tuple[int, Sequence[int]]] = []
        self._timer: Timer | None = None
        self._has_warned = False

    def add(self, descriptor: int, entries: Sequence[int]) -> None:
        """Keep a copy of this one, and the numbers of the entries that held it unguarded."""
        if len(self._waiting) >= MOST_WAITING:
            self._warn("too much waits for the enforcer")
            return
        try:
            self._waiting.append((self._descriptors.duplicate(descriptor), entries))
        except OSError as error:
            self._warn(str(error.strerror))
            return
        if self._timer is None:
            self._timer = self._loop.call_at(time.monotonic() + LONGEST_SECONDS, self.give_up)

    def tell(self, release: Callable[[int, Sequence[int]], None]) -> None:
        """The enforcer is there: release all. If that raises, what is left goes on waiting."""
        while self._waiting:
            release(*self._waiting[-1])
            self._close(self._waiting.pop()[0])
        self._has_warned = False
        self._stop_timer()

    def give_up(self) -> None:
        """Wait no longer: what is left stays guarded until everybody else has closed it, too."""
        if self._waiting:
            log.warning("%d open files that were refused or discarded stay guarded", len(self._waiting))
        while self._waiting:
            self._close(self._waiting.pop()[0])
        self._stop_timer()

    def _warn(self, why: str) -> None:
        """Once, until the enforcer is back."""
        if not self._has_warned:
            log.warning("what is refused or discarded now stays guarded until it is closed: %s", why)
            self._has_warned = True

    def _close(self, descriptor: int) -> None:
        self._descriptors.discard(descriptor, may_block=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
