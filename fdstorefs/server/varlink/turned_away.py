"""Turned away: what the log says of connections that are refused, which costs whoever tries nothing."""

import logging
import time
from collections.abc import Callable

SILENT_SECONDS = 10.0
MOST_USERS = 64

log = logging.getLogger(__name__)


class TurnedAway:
    """Says it of a user once in ten seconds, and then how often it was; of 64 users in that time at most.

    `clock` gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until: dict[int, float] = {}
        self._untold = 0

    def tell(self, uid: int, why: str) -> None:
        """A connection of this user is refused."""
        now = self._clock()
        self._silent_until = {uid: until for uid, until in self._silent_until.items() if now < until}
        if uid in self._silent_until or len(self._silent_until) == MOST_USERS:
            self._untold += 1
            return
        log.warning("a further connection of uid %d is refused: %s%s", uid, why, self._before())
        self._silent_until[uid] = now + SILENT_SECONDS
        self._untold = 0

    def _before(self) -> str:
        return f" (so were {self._untold} before it, of which nothing was said)" if self._untold else ""
