"""Lanes: whoever reads a stored file waits in one, whoever writes it in another, first come, first served.

One attempt is under way in a lane at a time: any number of waiting readers costs one epoll registration and,
when data comes, one thread. The kernel would let them in one by one too.
"""

import errno
import logging
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fdstorefs.core.node import OpenFile
from fdstorefs.server.fuse.readiness import Readiness, Watch, ready_now
from fdstorefs.server.fuse.transfer import Read, Transfer, Unfinished, Write
from fdstorefs.server.loop import Loop, Timer
from fdstorefs.server.workers import Workers

log = logging.getLogger(__name__)

GRACE = 0.1
"""Seconds that an attempt under way gets to end by itself when a signal arrives for its caller.

Normally it ends within microseconds, and no data is lost. After that the caller is let go with EINTR, and
what the attempt reads in the end, if it ever does, is lost: nobody is there to take it. What it writes then
is written, though the caller was told that it was not.
"""

PATIENCE = 2.0
"""Seconds that a WRITE may wait without progress; then it ends as if a signal had arrived.

The kernel holds the inode's lock during a write. Whoever unlinks, renames or chmods the entry meanwhile waits
for that lock, and holds that of the directory: everybody would wait for one writer.
"""

MOST_THREADS = 512
MOST_THREADS_OF_ONE = 64
"""Of the files that one user has stashed, so many can keep a thread busy for as long as he likes."""

_PAUSE = 0.001
_UNTOLD_PAUSE = 0.02
"""For terminals and the like, which are not polled in the loop: a thread tries again after it."""

GiveBack = Callable[[int, int], None]
"""Told of a call that another server is to go on with after all, and how many bytes are moved."""


class Lane:
    """One direction of one stored file; `events` (POLL bits) say when it is worth an attempt."""

    def __init__(
        self,
        loop: Loop,
        workers: Workers,
        readiness: Readiness,
        file: OpenFile,
        events: int,
        on_idle: Callable[[], object],
        on_still: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._workers = workers
        self._readiness = readiness
        self._file = file
        self._events = events
        self._on_idle = on_idle
        self._on_still = on_still
        self._queue: deque[Transfer[Any]] = deque()
        self._active: Transfer[Any] | None = None
        self._watch: Watch | None = None
        self._pause: Timer | None = None
        self._is_frozen = False
        self._give_back: GiveBack | None = None

    @property
    def active(self) -> Transfer[Any] | None:
        """The one that a thread is at."""
        return self._active

    @property
    def descriptor(self) -> int:
        """The stored file's."""
        return self._file.descriptor

    def freeze(self) -> None:
        """Begin nothing more. What is under way may end, and those whose time is up are let go."""
        self._is_frozen = True
        self._stop_waiting()

    def hand_over(self) -> list[Unfinished]:
        """What waits, in turn. From now on nobody is answered whom no thread is at."""
        for transfer in self._queue:
            _settle(transfer)
        return [transfer.unfinished() for transfer in self._queue if not transfer.call.answered]

    def thaw(self) -> None:
        """Go on."""
        self._is_frozen = False
        for transfer in self._queue:
            if isinstance(transfer, Write):
                self._give_patience(transfer)
        self._proceed()

    def leave(self, lingering: frozenset[int], give_back: GiveBack | None) -> None:
        """Go on with these calls only; without a thread at them they are given back, if somebody takes them."""
        self._give_back = give_back
        waiting, self._queue = self._queue, deque()
        for transfer in (*waiting, self._active):
            if transfer is not None:
                transfer.on_exhausted = _nothing
        for transfer in waiting:
            if transfer.call.unique in lingering:
                self._wait(transfer)
        self.thaw()

    def submit(self, transfer: Transfer[Any]) -> None:
        """Begin a transfer as soon as it is its turn; its call is answered in any case."""
        transfer.call.on_interrupt = lambda: self.interrupt(transfer)
        if isinstance(transfer, Write):
            self._give_patience(transfer)
        self._queue.append(transfer)
        self._proceed()

    def _give_patience(self, transfer: Write) -> None:
        if transfer.patience is not None:
            transfer.patience.cancel()
        transfer.patience = self._loop.call_at(time.monotonic() + PATIENCE, lambda: self.interrupt(transfer))

    def _proceed(self) -> None:
        if self._active is not None or self._is_frozen:
            return
        self._stop_waiting()
        while self._queue and self._queue[0].call.answered:
            _settle(self._queue.popleft())  # the mount is gone: nobody must lose data to it
        if self._queue and (not self._queue[0].tried or self._is_ready()):
            self._begin(self._queue.popleft())
            return
        self._turn_away()
        if self._queue:
            self._watch = self._readiness.watch(self._file.descriptor, self._events, self._proceed)
        else:
            self._on_idle()

    def _is_ready(self) -> bool:
        return not self._file.pollable or bool(ready_now(self._file.descriptor, self._events))

    def _stop_waiting(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _turn_away(self) -> None:
        """Nothing is ready: those who don't want to wait need not."""
        for transfer in [one for one in self._queue if one.call.nonblocking]:
            self._queue.remove(transfer)
            _dismiss(transfer, None)

    def _begin(self, transfer: Transfer[Any]) -> None:
        self._active = transfer
        transfer.tried = True
        # The thread may outlive the handle.
        self._file.hold()
        self._workers.run(transfer.attempt, lambda result: self._ended(transfer, result), self._file.sender)

    def _ended(self, transfer: Transfer[Any], result: Any) -> None:
        self._active = None
        if isinstance(result, BlockingIOError):
            self._in_vain(transfer)
        else:
            self._took_effect(transfer, result)
            self._proceed()
        self._file.drop()
        if self._is_frozen:
            self._on_still()

    def _in_vain(self, transfer: Transfer[Any]) -> None:
        self._requeue(transfer)
        if self._is_ready():
            # And yet it would have blocked: somebody else was faster, or nobody can say. Look again, but not at once.
            pause = _PAUSE if self._file.pollable else _UNTOLD_PAUSE
            self._pause = self._loop.call_at(time.monotonic() + pause, self._proceed)
        else:
            self._proceed()

    def _took_effect(self, transfer: Transfer[Any], result: Any) -> None:
        if isinstance(result, Exception):
            _dismiss(transfer, _errno_of(result))
            return
        transfer.advance(result)
        if isinstance(transfer, Write):
            self._give_patience(transfer)
        self._requeue(transfer)

    def _requeue(self, transfer: Transfer[Any]) -> None:
        """It goes on, if it is not complete and its caller still wants it."""
        if transfer.call.answered:
            _settle(transfer)
        elif transfer.interrupted:
            _dismiss(transfer, errno.EINTR)
        elif transfer.call.nonblocking:
            _dismiss(transfer, None)
        else:
            self._wait(transfer)

    def _wait(self, transfer: Transfer[Any]) -> None:
        """It is the first whose turn comes again; or the other server's."""
        if self._give_back is None:
            self._queue.appendleft(transfer)
        else:
            _settle(transfer)
            self._give_back(transfer.call.unique, transfer.unfinished().moved)

    def interrupt(self, transfer: Transfer[Any]) -> None:
        """The caller of this transfer shall wait no longer."""
        transfer.interrupted = True
        if transfer in self._queue:
            self._queue.remove(transfer)
            _dismiss(transfer, errno.EINTR)
            self._proceed()
        elif transfer is self._active:
            self._loop.call_at(time.monotonic() + GRACE, lambda: _dismiss(transfer, errno.EINTR))


def _errno_of(error: Exception) -> int:
    if not isinstance(error, OSError):
        log.error("a transfer failed", exc_info=error)
        return errno.EIO
    return error.errno or errno.EIO


def _dismiss(transfer: Transfer[Any], code: int | None) -> None:
    """End a transfer with an errno; None: it would have to wait."""
    _settle(transfer)
    if code is None:
        transfer.would_block()
    else:
        transfer.end(code)


def _settle(transfer: Transfer[Any]) -> None:
    if transfer.patience is not None:
        transfer.patience.cancel()


def _nothing() -> None:
    """Who waited for it is told by another server."""


class Lanes:
    """The lanes of all stored files that somebody reads or writes just now."""

    def __init__(self, loop: Loop, readiness: Readiness) -> None:
        self._loop = loop
        self._readiness = readiness
        # Not the loop's own: others' files may keep all of these busy.
        self._workers = Workers(loop.post, MOST_THREADS, most_of_one=MOST_THREADS_OF_ONE)
        self._lanes: dict[tuple[int, int], Lane] = {}
        self._done: Callable[[], None] | None = None
        self._grace: Timer | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    def read(self, transfer: Read) -> None:
        """Begin a READ when it is its turn."""
        self._lane(transfer.file, select.POLLIN).submit(transfer)

    def write(self, transfer: Write) -> None:
        """Begin a WRITE when it is its turn."""
        self._lane(transfer.file, select.POLLOUT).submit(transfer)

    def _lane(self, file: OpenFile, events: int) -> Lane:
        key = (file.descriptor, events)
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(
                self._loop,
                self._workers,
                self._readiness,
                file,
                events,
                lambda: self._lanes.pop(key, None),
                self._look,
            )
            self._lanes[key] = lane
        return lane

    # Another server is to go on

    def freeze(self, done: Callable[[], None]) -> None:
        """Begin nothing more. Call `done` when no thread is at anything, or the last has had its time."""
        self._done = done
        for lane in self._all:
            lane.freeze()
        self._loop.call_soon(self._look)
        self._grace = self._loop.call_at(time.monotonic() + GRACE, self._end_freezing)

    @property
    def _all(self) -> tuple[Lane, ...]:
        return tuple(self._lanes.values())

    @property
    def active(self) -> list[Transfer[Any]]:
        """Those that a thread is at."""
        return [lane.active for lane in self._all if lane.active is not None]

    @property
    def descriptors(self) -> frozenset[int]:
        """Those of the stored files that somebody reads or writes."""
        return frozenset(lane.descriptor for lane in self._all)

    def _look(self) -> None:
        if not self.active:
            self._end_freezing()

    def _end_freezing(self) -> None:
        done = self._stop_freezing()
        if done is not None:
            done()

    def _stop_freezing(self) -> Callable[[], None] | None:
        if self._grace is not None:
            self._grace.cancel()
        done, self._done = self._done, None
        return done

    def hand_over(self) -> list[Unfinished]:
        """What waits, lane by lane, each in turn."""
        return [unfinished for lane in self._all for unfinished in lane.hand_over()]

    def thaw(self) -> None:
        """Go on."""
        self._stop_freezing()
        for lane in self._all:
            lane.thaw()

    def leave(self, lingering: frozenset[int], give_back: GiveBack | None) -> None:
        """Go on with these calls only; those that would wait are given back."""
        for lane in self._all:
            lane.leave(lingering, give_back)

    def close(self) -> None:
        """Begin nothing more. A thread that is stuck in a file stays so."""
        self._workers.close()
