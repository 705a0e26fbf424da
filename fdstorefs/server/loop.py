"""The event loop: epoll and nothing around it.

A general event loop costs twice as much per round trip as this one, and a round trip is what the store is
measured by. One thread runs it; only `post`, `in_thread` and `stop` may be called from another.

Rules for callbacks:
- They must not block, and must expect to be called without cause: an event may be stale by the time it is
  delivered (the descriptor was closed and its number used again in the same turn).
- One that raises never ends the loop and never disturbs another. The loop stops watching its descriptor (it
  would be reported again at once, for ever) and gives the exception to `on_error`, which logs it by default.
  Whoever cannot go on without that descriptor sets `on_error` and stops the loop there.
- KeyboardInterrupt, SystemExit and other BaseExceptions end `run`.
"""

import heapq
import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from fdstorefs.server.workers import Workers

T = TypeVar("T")
FdCallback = Callable[[int], None]

EPOLLIN = select.EPOLLIN
EPOLLOUT = select.EPOLLOUT
EPOLLET = select.EPOLLET
EPOLLHUP = select.EPOLLHUP
EPOLLERR = select.EPOLLERR

EVENTS_AT_ONCE = 64
MOST_POSTED_AT_ONCE = 1024
FEW_TIMERS = 64
MOST_BUSY_TURNS = 64
"""Turns with something to do, after which work that waits for an idle one is done nevertheless."""

log = logging.getLogger(__name__)


class Timer:
    """Something to be done later; `cancel` calls it off."""

    __slots__ = ("_function", "when")

    def __init__(self, when: float, function: Callable[[], None]) -> None:
        self.when = when
        self._function: Callable[[], None] | None = function

    def cancel(self) -> None:
        """Do not do it. Harmless when it has been done."""
        self._function = None

    @property
    def cancelled(self) -> bool:
        """True once it is done or called off."""
        return self._function is None

    def _fire(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()


def log_error(callback: object, error: Exception) -> None:
    """The default of `Loop.on_error`: write it to the log with its traceback."""
    log.error("a callback failed: %r", callback, exc_info=error)


class Loop:
    """Calls back for descriptors, timers, signals and other threads."""

    def __init__(self) -> None:
        self.on_error: Callable[[object, Exception], None] = log_error
        self._epoll = select.epoll()
        self._callbacks: dict[int, FdCallback] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._posted: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._prune_at = FEW_TIMERS
        self._when_idle: deque[Callable[[], bool]] = deque()
        self._busy_turns = 0
        self._sequence = count()
        self._stopping = False
        self._closed = False
        self._waking = threading.Lock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._workers = Workers(self.post)
        self._signals: dict[int, Callable[[], None]] = {}
        self._former_handlers: dict[int, object] = {}
        self._signal_pipe: tuple[int, int] | None = None
        self.register(self._wake, self._on_wake)

    @property
    def own(self) -> frozenset[int]:
        """The descriptors that the loop needs for itself."""
        return frozenset((self._epoll.fileno(), self._wake, *(self._signal_pipe or ())))

    # Descriptors

    def register(self, fd: int, callback: FdCallback, events: int = EPOLLIN) -> None:
        """Call `callback(events that came)` whenever `fd` is ready for `events`, or broken, or hung up."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def modify(self, fd: int, events: int) -> None:
        """Wait for other events; 0 still reports errors and hang-ups."""
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Call back no more. Must come before `fd` is closed. Harmless if it is not registered."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    # Later

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call `function` in the next turn: events that are ready by then get theirs in between."""
        self._soon.append(function)

    def when_idle(self, work: Callable[[], bool]) -> None:
        """Call `work` whenever there is nothing else to do, again and again until it returns False or raises.

        It should do a little at a time: what becomes ready meanwhile waits. A loop that never rests calls it once
        in a while, so that it gets done.
        """
        self._when_idle.append(work)

    def call_at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call `function` at `when`, seconds of time.monotonic()."""
        if len(self._timers) >= self._prune_at:
            self._prune_timers()
        timer = Timer(when, function)
        heapq.heappush(self._timers, (when, next(self._sequence), timer))
        return timer

    def _prune_timers(self) -> None:
        # Timers that are set and cancelled over and over must not pile up until their time comes.
        self._timers = [entry for entry in self._timers if not entry[2].cancelled]
        heapq.heapify(self._timers)
        self._prune_at = max(2 * len(self._timers), FEW_TIMERS)

    # Threads

    def post(self, function: Callable[[], None]) -> None:
        """Call `function` in the loop soon; from any thread, in order. Nothing comes of it after `close`."""
        self._posted.append(function)
        with self._waking:
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def in_thread(
        self, work: Callable[[], T], done: Callable[[T | Exception], None], uid: int | None = None
    ) -> None:
        """Do `work` in a worker thread, then `done(its result or exception)` in the loop.

        There are at most 64 such threads, of which one user's work (`uid`) takes 16, and they do not keep the process
        alive.
        """
        self._workers.run(work, done, uid)

    # Signals

    def add_signal(self, signum: int, function: Callable[[], None]) -> None:
        """Call `function` in the loop when the signal comes. Only in the main thread (else ValueError)."""
        if self._signal_pipe is None:
            self._open_signal_pipe()
        former = signal.signal(signum, _wake_up_only)
        self._former_handlers.setdefault(signum, former)
        self._signals[signum] = function
        # Whoever started us may have held it back until somebody takes care of it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})

    def _open_signal_pipe(self) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        except ValueError:
            os.close(reader)
            os.close(writer)
            raise
        self._signal_pipe = (reader, writer)
        self.register(reader, self._on_signal)

    def _on_signal(self, _events: int) -> None:
        if self._signal_pipe is None:
            return
        try:
            arrived = os.read(self._signal_pipe[0], 4096)
        except BlockingIOError:
            return
        for signum in dict.fromkeys(arrived):
            if signum in self._signals:
                self._guarded(self._signals[signum])

    # Running

    def run(self) -> None:
        """Serve until `stop`. May be called again after that."""
        self._stopping = False
        while not self._stopping:
            self._turn()

    def stop(self) -> None:
        """End `run` after the callbacks of this turn; from any thread."""
        self._stopping = True
        self.post(_nothing)

    def close(self) -> None:
        """Give signals back and close what the loop opened; registered descriptors remain their owners'."""
        if self._closed:
            return
        self._workers.close()
        self._close_signals()
        self._epoll.close()
        self._callbacks.clear()
        with self._waking:
            self._closed = True
            os.close(self._wake)

    def _close_signals(self) -> None:
        for signum, handler in self._former_handlers.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]  # as signal.signal returned it
        if self._signal_pipe is not None:
            signal.set_wakeup_fd(-1)
            for fd in self._signal_pipe:
                os.close(fd)
            self._signal_pipe = None

    def _turn(self) -> None:
        callbacks = self._callbacks
        for fd, events in self._wait():
            callback = callbacks.get(fd)
            if callback is None:
                continue
            try:
                callback(events)
            except Exception as error:  # noqa: BLE001  one client's trouble; on_error tells of it
                self.unregister(fd)
                self.on_error(callback, error)
        if self._soon:
            self._run_soon()
        if self._timers:
            self._run_timers()

    def _wait(self) -> list[tuple[int, int]]:
        # No looking again before sleeping: measured with two processors, that takes more from the client, which
        # has to run meanwhile, than the wake-up costs.
        if self._when_idle:
            return self._wait_idly()
        return self._epoll.poll(0 if self._soon else self._timeout(), EVENTS_AT_ONCE)

    def _wait_idly(self) -> list[tuple[int, int]]:
        """What is ready now; if nothing is, some of the work that was waiting for that is done instead."""
        events = self._epoll.poll(0, EVENTS_AT_ONCE)
        if events or self._soon:
            self._busy_turns += 1
            if self._busy_turns < MOST_BUSY_TURNS:
                return events
        self._busy_turns = 0
        self._do_idle_work(self._when_idle.popleft())
        return events

    def _do_idle_work(self, work: Callable[[], bool]) -> None:
        try:
            again = work()
        except Exception as error:  # noqa: BLE001  see the rules above
            self.on_error(work, error)
            return
        if again:
            self._when_idle.append(work)

    def _timeout(self) -> float:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return -1
        return max(self._timers[0][0] - time.monotonic(), 0)

    def _run_soon(self) -> None:
        for _ in range(len(self._soon)):
            self._guarded(self._soon.popleft())

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            self._guarded(heapq.heappop(self._timers)[2]._fire)

    def _on_wake(self, _events: int) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        for _ in range(min(len(self._posted), MOST_POSTED_AT_ONCE)):
            self._guarded(self._posted.popleft())
        if self._posted:
            os.eventfd_write(self._wake, 1)

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001  see the rules above
            self.on_error(function, error)


def _nothing() -> None:
    """What `stop` posts to end the sleep."""


def _wake_up_only(_signum: int, _frame: object) -> None:
    """Python's own handler has nothing to do: the byte in the pipe is what the loop acts on."""
