"""Requests that were read and are not served yet: one of each user in turn.

/dev/fuse hands requests out in the order in which they came, so that a user with 64 threads would have 64 requests
served to another's one. So what is there is read ahead, and each turn of the loop serves one of each user.

What gives something back (FORGET, RELEASE) and signals are for everybody's good, and are served as they are read.

Each user has a share of what is read ahead. What he has more is refused: if it stayed in the kernel, everybody else's
would stay behind it.
"""

import errno
from collections import deque
from collections.abc import Callable

from fdstorefs.server.fuse import protocol
from fdstorefs.server.fuse.device import Device, Unmounted
from fdstorefs.server.fuse.protocol import Header, Opcode
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.shares import Most, Shares

MOST_REQUESTS, MOST_BYTES = Most(1 << 12, 1 << 14), Most(1 << 24, 1 << 26)
"""How much is read ahead. What all users together have more waits in the kernel, first come, first served."""

MOST_REFUSED_AT_ONCE = 64
"""Between two turns: whoever is refused may ask again at once, and without end."""

SERVED_AT_ONCE = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.RELEASE, Opcode.RELEASEDIR})


class Requests:
    """Reads the device and has the tap serve what it read. `soon` calls a function in the next turn of the loop."""

    def __init__(self, device: Device, tap: Tap, soon: Callable[[Callable[[], None]], None]) -> None:
        self._device = device
        self._tap = tap
        self._soon = soon
        self._by_uid: dict[int, deque[bytes]] = {}
        self._counts, self._bytes = Shares(*MOST_REQUESTS), Shares(*MOST_BYTES)
        self._refused = 0
        self._numbers: set[int] = set()
        self._signals: dict[int, bytes] = {}
        self._turn_is_due = False

    def __len__(self) -> int:
        return len(self._numbers)

    def readable(self, _events: int = 0) -> None:
        """Read what there is, and serve it soon. Never blocks and never raises."""
        self._refused = 0
        try:
            while self._has_room and (request := self._device.receive()) is not None:
                self._take_in(request)
        except Unmounted:
            self._tap.end()
        self._ask_for_turn()

    def serve_all(self) -> None:
        """Serve everything that was read, now."""
        while self._by_uid:
            self._serve_round()

    @property
    def _has_room(self) -> bool:
        return (
            self._counts.used < self._counts.total
            and self._bytes.used < self._bytes.total
            and self._refused < MOST_REFUSED_AT_ONCE
        )

    def _take_in(self, request: memoryview) -> None:
        header = protocol.header(request)
        if header.opcode == Opcode.INTERRUPT:
            self._signal(protocol.interrupted(request), request)
        elif header.opcode in SERVED_AT_ONCE:
            self._tap.serve(request)
        elif self._has_share(header):
            self._by_uid.setdefault(header.uid, deque()).append(bytes(request))
            self._numbers.add(header.unique)
            self._count(header, 1)
        else:
            self._refused += 1
            self._device.answer(header.unique, errno.EAGAIN)

    def _has_share(self, header: Header) -> bool:
        counts, lengths = self._counts, self._bytes
        return (
            counts.of(header.uid) < counts.per_uid
            and lengths.of(header.uid) + header.length <= lengths.per_uid
        )

    def _count(self, header: Header, times: int) -> None:
        self._counts.take(header.uid, times)
        self._bytes.take(header.uid, times * header.length)

    def _signal(self, unique: int, request: memoryview) -> None:
        """A signal for the caller of a request has its effect once that is served, which is soon."""
        if unique in self._numbers:
            self._signals[unique] = bytes(request)
        else:
            self._tap.serve(request)

    def _ask_for_turn(self) -> None:
        if self._by_uid and not self._turn_is_due:
            self._turn_is_due = True
            self._soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_due = False
        self._serve_round()
        self._ask_for_turn()

    def _serve_round(self) -> None:
        for uid in tuple(self._by_uid):
            queue = self._by_uid[uid]
            request = memoryview(queue.popleft())
            if not queue:
                del self._by_uid[uid]
            self._serve(request)

    def _serve(self, request: memoryview) -> None:
        header = protocol.header(request)
        self._numbers.discard(header.unique)
        self._count(header, -1)
        self._tap.serve(request)
        signal = self._signals.pop(header.unique, None)
        if signal is not None:
            self._tap.serve(memoryview(signal))
