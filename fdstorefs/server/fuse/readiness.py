"""Readiness: who waits for which event on which stored descriptor.

epoll takes a descriptor once, but many may wait for it: all share one registration.
"""

import select
from collections.abc import Callable

from fdstorefs.server.loop import Loop

ALWAYS_READY = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDNORM | select.EPOLLWRNORM
"""What poll(2) says of a file that never makes anyone wait: readable and writable, by both names of each."""

_ALWAYS_REPORTED = select.EPOLLERR | select.EPOLLHUP
_POLL_BITS = 0x3FFF


def ready_now(descriptor: int, events: int) -> int:
    """Which of `events` (POLL bits) are ready now, errors and hang-ups included. Never blocks."""
    poll = select.poll()
    poll.register(descriptor, events & _POLL_BITS)
    found = poll.poll(0)
    return found[0][1] if found else 0


class Watch:
    """One wish to be called back, once."""

    __slots__ = ("_readiness", "callback", "descriptor", "events")

    def __init__(
        self, readiness: "Readiness", descriptor: int, events: int, callback: Callable[[], None]
    ) -> None:
        self._readiness = readiness
        self.descriptor = descriptor
        self.events = events & _POLL_BITS
        self.callback = callback

    def cancel(self) -> None:
        """Do not call back. Harmless when it has happened."""
        self._readiness.forget(self)


class Readiness:
    """All watches on stored descriptors. A descriptor must stay open while it is watched."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._watches: dict[int, list[Watch]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def watch(self, descriptor: int, events: int, callback: Callable[[], None]) -> Watch:
        """Call back, once, when one of `events` is ready, or the file is broken or hung up.

        A file without readiness of its own (epoll refuses it) never changes, so nobody is called.
        """
        watch = Watch(self, descriptor, events, callback)
        there = self._watches.get(descriptor)
        if there is not None:
            there.append(watch)
            self._loop.modify(descriptor, _union(there))
        elif self._register(descriptor, watch.events):
            self._watches[descriptor] = [watch]
        return watch

    def _register(self, descriptor: int, events: int) -> bool:
        try:
            self._loop.register(descriptor, lambda came: self._came(descriptor, came), events)
        except PermissionError:
            return False
        return True

    def _came(self, descriptor: int, events: int) -> None:
        watches = self._watches.get(descriptor, [])
        for watch in [one for one in watches if events & (one.events | _ALWAYS_REPORTED)]:
            if self.forget(watch):
                watch.callback()

    def forget(self, watch: Watch) -> bool:
        """End a watch. Returns False where it had ended."""
        there = self._watches.get(watch.descriptor, [])
        if watch not in there:
            return False
        there.remove(watch)
        if there:
            self._loop.modify(watch.descriptor, _union(there))
        else:
            del self._watches[watch.descriptor]
            self._loop.unregister(watch.descriptor)
        return True


def _union(watches: list[Watch]) -> int:
    events = 0
    for watch in watches:
        events |= watch.events
    return events
