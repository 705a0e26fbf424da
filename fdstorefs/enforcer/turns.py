"""Turns: work that takes a while for somebody is done in threads, one piece at a time for each user, few for all.

Threads share one interpreter with the loop: with many at work everybody would wait for it.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from fdstorefs.server.loop import Loop

T = TypeVar("T")
MOST_AT_ONCE = 4
REST = 10
"""For so many times as long as the loop was busy with somebody's turn his next one has to wait."""


class Turn:
    """Somebody's turn, which may be yet to come."""

    __slots__ = ("begin", "uid")

    def __init__(self, uid: int, begin: Callable[[], None]) -> None:
        self.uid = uid
        self.begin = begin


class Turns:
    """Whose turn it is: users, one after the other, and for each of them what came first."""

    def __init__(self, loop: Loop, most: int = MOST_AT_ONCE) -> None:
        self._loop = loop
        self._most = most
        self._busy: set[int] = set()
        self._resting: set[int] = set()
        self._waiting: dict[int, deque[Turn]] = {}

    def take(self, uid: int, work: Callable[[], T], done: Callable[[T | Exception], None]) -> Turn:
        """Do `work` in a thread when it is this user's turn, then `done(its result, or what it raised)` in the loop."""

        def end(result: T | Exception) -> None:
            began = time.monotonic()
            try:
                done(result)
            finally:
                self._busy.remove(uid)
                self._rest(uid, REST * (time.monotonic() - began))
                self._begin()

        turn = Turn(uid, lambda: self._loop.in_thread(work, end))
        self._waiting.setdefault(uid, deque()).append(turn)
        self._begin()
        return turn

    def give_up(self, turn: Turn) -> bool:
        """Have it not done any more; False: it has begun, and its `done` will be called."""
        waiting = self._waiting.get(turn.uid, deque())
        if turn not in waiting:
            return False
        waiting.remove(turn)
        if not waiting:
            del self._waiting[turn.uid]
        return True

    def _rest(self, uid: int, seconds: float) -> None:
        self._resting.add(uid)
        self._loop.call_at(time.monotonic() + seconds, lambda: self._rested(uid))

    def _rested(self, uid: int) -> None:
        self._resting.discard(uid)
        self._begin()

    def _begin(self) -> None:
        for uid in tuple(self._waiting):
            if len(self._busy) >= self._most:
                return
            if uid not in self._busy and uid not in self._resting:
                self._begin_for(uid)

    def _begin_for(self, uid: int) -> None:
        waiting = self._waiting.pop(uid)
        turn = waiting.popleft()
        if waiting:
            # What else it has comes after everybody who waits now.
            self._waiting[uid] = waiting
        self._busy.add(uid)
        turn.begin()
