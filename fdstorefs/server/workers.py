"""Workers: threads for what may block, so that the loop never does."""

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST = 64
IDLE_SECONDS = 10.0


class Workers:
    """A pool of daemon threads. It grows by one whenever work comes and nobody is idle, up to `most`.

    Above that, work waits its turn. A thread without work for `idle` seconds ends. `post` hands a callable
    to the loop and must be safe to call from any thread.
    """

    def __init__(
        self, post: Callable[[Callable[[], None]], None], most: int = MOST, idle: float = IDLE_SECONDS
    ) -> None:
        self._post = post
        self._most = most
        self._idle_seconds = idle
        self._waiting: deque[Callable[[], None]] = deque()
        self._change = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return self._threads

    def run(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Do `work` in a thread, then `done(result or the exception it raised)` in the loop.

        After `close` neither is called.
        """
        with self._change:
            if self._closed:
                return
            self._waiting.append(lambda: self._carry_out(work, done))
            if self._idle >= len(self._waiting):
                self._change.notify()
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._serve, name="fdstorefs-worker", daemon=True).start()

    def close(self) -> None:
        """Forget work that has not begun and let idle threads end. Threads stuck in a call are left to it."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()

    def _carry_out(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        try:
            result: T | Exception = work()
        except Exception as error:  # noqa: BLE001  whatever it is belongs to whoever gave the work
            result = error
        if not self._closed:
            self._post(lambda: done(result))

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            self._idle += 1
            self._change.wait_for(lambda: self._waiting or self._closed, self._idle_seconds)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None
