"""Turns: each user's connections together get one turn of the loop, however many there are.

epoll reports everything that is ready, and the loop serves that in turn. By itself that would give a user with 256
connections 256 turns to another's one. So all connections of a user are in an epoll set of their own, which is one
thing that is ready to the loop's; and among them the kernel's order is kept, first come, first served.
"""

import select
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from fdstorefs.server.loop import EPOLLIN, FdCallback, Loop, Timer

T = TypeVar("T")


class Scheduler(Protocol):
    """What a connection needs of a loop."""

    def register(self, fd: int, callback: FdCallback, events: int = EPOLLIN, /) -> None:
        """As of a loop."""

    def modify(self, fd: int, events: int, /) -> None:
        """As of a loop."""

    def unregister(self, fd: int, /) -> None:
        """As of a loop."""

    def call_soon(self, function: Callable[[], None], /) -> None:
        """As of a loop."""

    def call_at(self, when: float, function: Callable[[], None], /) -> Timer:
        """As of a loop."""

    def in_thread(self, work: Callable[[], T], done: Callable[[T | Exception], None], /) -> None:
        """As of a loop."""


class UserTurns:
    """The part of a loop that one user's connections share: in each turn of the loop one of them has its turn.

    What they call soon waits for such a turn, too. Raises OSError (EMFILE) when it is made without a descriptor to
    spare.
    """

    def __init__(self, loop: Loop, uid: int) -> None:
        self._loop = loop
        self._uid = uid
        self._epoll = select.epoll()
        self._callbacks: dict[int, FdCallback] = {}
        self._events: dict[int, int] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._soon_is_next = True
        self._turn_is_due = False
        self.call_at = loop.call_at
        loop.register(self._epoll.fileno(), self._on_ready)

    def register(self, fd: int, callback: FdCallback, events: int = EPOLLIN) -> None:
        """Call `callback(events that came)` in a turn in which `fd` is ready."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback
        self._events[fd] = events

    def modify(self, fd: int, events: int) -> None:
        """Wait for other events; 0 still reports errors and hang-ups."""
        self._epoll.modify(fd, events)
        self._events[fd] = events

    def unregister(self, fd: int) -> None:
        """Call back no more. Harmless if it is not registered."""
        if self._callbacks.pop(fd, None) is not None:
            del self._events[fd]
            self._epoll.unregister(fd)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call `function` in a later turn."""
        self._soon.append(function)
        self._ask_for_turn()

    def _ask_for_turn(self) -> None:
        if self._soon and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._take_turn)

    def in_thread(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Do `work` in one of the user's worker threads, then `done(its result or exception)` in the loop."""
        self._loop.in_thread(work, done, self._uid)

    def close(self) -> None:
        """The user has no connection any more. What was to be called soon is not."""
        self._soon.clear()
        self._loop.unregister(self._epoll.fileno())
        self._epoll.close()

    def _on_ready(self, _events: int) -> None:
        if self._soon:
            return  # this turn is taken when those events are done that came with this one
        if len(self._callbacks) == 1:
            # Nobody to choose from, so nothing need be asked again: who is hung up can be read, too.
            fd, callback = next(iter(self._callbacks.items()))
            if self._events[fd] == EPOLLIN:
                self._call(fd, callback, EPOLLIN)
                return
        self._serve_one()

    def _take_turn(self) -> None:
        self._turn_is_due = False
        if not self._soon:
            return
        self._soon_is_next = not self._soon_is_next
        if self._soon_is_next or not self._serve_one():
            self._run(self._soon.popleft())
        self._ask_for_turn()

    def _serve_one(self) -> bool:
        """Serve the descriptor that has been ready for longest. Whether there was one."""
        for fd, events in self._epoll.poll(0, 1):
            callback = self._callbacks.get(fd)
            if callback is not None:
                self._call(fd, callback, events)
                return True
        return False

    def _call(self, fd: int, callback: FdCallback, events: int) -> None:
        try:
            callback(events)
        except Exception as error:  # noqa: BLE001  as in the loop: one connection's trouble
            self.unregister(fd)
            self._loop.on_error(callback, error)

    def _run(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001  as in the loop
            self._loop.on_error(function, error)
