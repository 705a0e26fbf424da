"""Workers: threads for what may block, so that the loop never does."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Job = Callable[[], None]

MOST = 64
MOST_OF_ONE = 16
IDLE_SECONDS = 10.0


class Workers:
    """A pool of daemon threads. It grows by one whenever work comes and nobody is idle, up to `most`.

    Above that, work waits its turn, and users take turns. No more than `most_of_one` threads are at work for one
    user. A thread without work for `idle` seconds ends. `post` hands a callable to the loop and must be safe to call
    from any thread.
    """

    def __init__(
        self,
        post: Callable[[Job], None],
        most: int = MOST,
        idle: float = IDLE_SECONDS,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._post = post
        self._most = most
        self._most_of_one = most_of_one
        self._idle_seconds = idle
        # By user; None is the server itself, which has as many threads as there are.
        self._waiting: dict[int | None, deque[Job]] = {}
        self._working: Counter[int | None] = Counter()
        self._change = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return self._threads

    def run(
        self, work: Callable[[], T], done: Callable[[T | Exception], None], uid: int | None = None
    ) -> None:
        """Do `work` in a thread, then `done(result or the exception it raised)` in the loop.

        `uid` is the user whose share of the threads it takes; None: it is the server's own. After `close` neither is
        called.
        """
        with self._change:
            if self._closed:
                return
            self._waiting.setdefault(uid, deque()).append(lambda: self._carry_out(work, done))
            if self._idle >= sum(map(self._startable, self._waiting)):
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
        while (taken := self._next()) is not None:
            uid, job = taken
            job()
            self._rest(uid)

    def _next(self) -> tuple[int | None, Job] | None:
        with self._change:
            self._idle += 1
            self._change.wait_for(lambda: self._may_take or self._closed, self._idle_seconds)
            self._idle -= 1
            for uid in self._waiting:
                if self._startable(uid):
                    return uid, self._taken_from(uid)
            self._threads -= 1
            return None

    @property
    def _may_take(self) -> bool:
        return any(map(self._startable, self._waiting))

    def _startable(self, uid: int | None) -> int:
        """How many of the jobs of a user that wait could be begun, were there threads."""
        waiting = len(self._waiting[uid])
        return waiting if uid is None else min(waiting, max(self._most_of_one - self._working[uid], 0))

    def _taken_from(self, uid: int | None) -> Job:
        queue = self._waiting.pop(uid)
        job = queue.popleft()
        if queue:
            # The rest comes after what is done for others.
            self._waiting[uid] = queue
        self._working[uid] += 1
        return job

    def _rest(self, uid: int | None) -> None:
        with self._change:
            self._working[uid] -= 1
            if not self._working[uid]:
                del self._working[uid]
