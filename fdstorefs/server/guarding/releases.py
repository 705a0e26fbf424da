"""Releases that wait: what this instance keeps no more, while the enforcer is away.

What the server received is delivered to nobody until it is classified. If it was then refused while the enforcer starts
anew, its owner could not pass it on any more. So it is kept open until the enforcer can be told, but not for long, and
not many: a socket that stays open looks to its peer as if it were still in use. What was classified stays guarded until
it is closed, told or not. The numbers of entries that held something unguarded are kept for as long as it takes: the
enforcer could not find them in another way.
"""

import logging
import time
from collections.abc import Callable, Sequence

from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop, Timer

MOST_WAITING = 32
LONGEST_SECONDS = 30.0
ENTRIES_AT_ONCE = 1024
"""In one message, of those that have no descriptor to go with."""

log = logging.getLogger(__name__)


class Releases:
    """Descriptors of open files that the enforcer is to be told of; copies, which this object owns.

    `probe` is a descriptor of our own, of a file that nobody guards.
    """

    def __init__(self, loop: Loop, descriptors: Descriptors, probe: int) -> None:
        self._loop = loop
        self._descriptors = descriptors
        self._probe = probe
        self._waiting: list[tuple[int, Sequence[int]]] = []
        self._entries: list[int] = []
        self._timer: Timer | None = None
        self._has_warned = False

    def add(self, descriptor: int, entries: Sequence[int]) -> None:
        """Keep a copy of this one, and the numbers of the entries that held it unguarded."""
        if len(self._waiting) >= MOST_WAITING:
            self._do_without(entries, "too much waits for the enforcer")
            return
        try:
            self._waiting.append((self._descriptors.duplicate(descriptor), entries))
        except OSError as error:
            self._do_without(entries, str(error.strerror))
            return
        if self._timer is None:
            self._timer = self._loop.call_at(time.monotonic() + LONGEST_SECONDS, self.give_up)

    def tell(self, release: Callable[[int, Sequence[int]], None]) -> None:
        """The enforcer is there: release all. If that raises, what is left goes on waiting."""
        while self._waiting:
            release(*self._waiting[-1])
            self._close(self._waiting.pop()[0])
        while self._entries:
            release(self._probe, self._entries[-ENTRIES_AT_ONCE:])
            del self._entries[-ENTRIES_AT_ONCE:]
        self._has_warned = False
        self._stop_timer()

    def give_up(self) -> None:
        """Wait no longer: what is left stays guarded until everybody else has closed it, too."""
        if self._waiting:
            log.warning("%d open files that were refused or discarded stay guarded", len(self._waiting))
        while self._waiting:
            descriptor, entries = self._waiting.pop()
            self._entries += entries
            self._close(descriptor)
        self._stop_timer()

    def _do_without(self, entries: Sequence[int], why: str) -> None:
        """Keep no copy. The log says so once, until the enforcer is back."""
        self._entries += entries
        if not self._has_warned:
            log.warning("what is refused or discarded now stays guarded until it is closed: %s", why)
            self._has_warned = True

    def _close(self, descriptor: int) -> None:
        self._descriptors.discard(descriptor, may_block=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
