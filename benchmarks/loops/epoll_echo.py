"""Bare epoll: `python -m benchmarks.loops.epoll_echo PATH [fixed|adaptive]`.

Spinning is looking again for a while before sleeping. `fixed` does so after every request; `adaptive` only
while requests have lately come within that while, and tries again now and then.
"""

import select
import socket
import sys
import time
from collections.abc import Callable

from benchmarks.loops.exchange import REQUEST, RIGHTS, SIZE, listen

SPIN = 50e-6
WEIGHT = 0.125
TRY_AGAIN = 64

Events = list[tuple[int, int]]


class Waiting:
    """How to wait for events: asleep, spinning first, or spinning first while it pays."""

    def __init__(self, epoll: select.epoll) -> None:
        self._poll = epoll.poll
        self._gap = 0.0
        self._slept = 0

    def asleep(self) -> Events:
        """Sleep at once."""
        return self._poll()

    def fixed(self) -> Events:
        """Look for SPIN seconds, then sleep."""
        end = time.monotonic() + SPIN
        while not (ready := self._poll(0)):
            if time.monotonic() > end:
                return self._poll()
        return ready

    def adaptive(self) -> Events:
        """As `fixed`, if requests come quickly on average; else asleep."""
        start = time.monotonic()
        self._slept += 1
        worth_it = self._gap < SPIN or self._slept % TRY_AGAIN == 0
        ready = self.fixed() if worth_it else self._poll()
        self._gap += (min(time.monotonic() - start, 10 * SPIN) - self._gap) * WEIGHT
        return ready


def serve(path: str, kind: str) -> None:
    """Answer for ever."""
    listening = listen(path)
    epoll = select.epoll()
    epoll.register(listening, select.EPOLLIN)
    connected: dict[int, socket.socket] = {}
    wait: Callable[[], Events] = getattr(Waiting(epoll), kind)
    while True:
        for descriptor, _ in wait():
            if descriptor == listening.fileno():
                _accept(listening, epoll, connected)
            else:
                _answer(descriptor, epoll, connected)


def _accept(listening: socket.socket, epoll: select.epoll, connected: dict[int, socket.socket]) -> None:
    client, _ = listening.accept()
    connected[client.fileno()] = client
    epoll.register(client, select.EPOLLIN)


def _answer(descriptor: int, epoll: select.epoll, connected: dict[int, socket.socket]) -> None:
    client = connected[descriptor]
    request, _, _, _ = client.recvmsg(REQUEST, SIZE)
    if request:
        client.sendmsg([request], RIGHTS)
    else:
        epoll.unregister(descriptor)
        connected.pop(descriptor).close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "asleep")
