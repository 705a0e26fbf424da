"""The only file that copies and closes stored descriptors.

close(2) may wait for ever: a FUSE file asks its server first, a socket lingers, a terminal drains. One thread
per stuck close is the only way out, so what may block is closed by daemon threads while the caller goes on.
"""

import errno
import fcntl
import logging
import os
import resource
import threading
import time
from collections import Counter, deque
from itertools import islice

_log = logging.getLogger(__name__)

_MOST_CLOSERS = 64
# A close that takes longer counts as stuck, and the next closer takes over.
_STUCK_AFTER_SECONDS = 0.01
_LOWEST_COPY = 3


class Descriptors:
    """The descriptors that the store owns: each is closed once, and only through here.

    Thread-safe. Not to be used on both sides of a fork: the threads that close stay with the parent.
    """

    def __init__(self, most_of_one: int = _MOST_CLOSERS) -> None:
        self._owned: set[int] = set()
        self._lock = threading.Lock()
        self._closers = _Closers(most_of_one)

    @property
    def open_count(self) -> int:
        """How many descriptors the store owns now."""
        return len(self._owned)

    @property
    def pending(self) -> int:
        """How many discarded descriptors wait to be closed, or are stuck in it."""
        return self._closers.pending

    def adopt(self, fd: int) -> int:
        """Take over a descriptor that was received: it is the store's from now on, and not inherited.

        Raises OSError (EBADF) when it isn't open, ValueError when the store owns it already.
        """
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        with self._lock:
            if fd in self._owned:
                raise ValueError(f"descriptor {fd} is owned already: it was closed behind the store's back")
            self._owned.add(fd)
        return fd

    def duplicate(self, fd: int) -> int:
        """A second descriptor of the same open file, the store's own too. Raises OSError (EBADF, EMFILE)."""
        return self.adopt(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_COPY))

    def discard(self, fd: int, may_block: bool, sender: int | None = None) -> None:
        """Close a descriptor: at once, or by another thread when that `may_block`. Never waits in that case.

        `sender` is the uid of who sent it: no more than `most_of_one` threads are stuck with what one has sent. None:
        nobody did, or nobody knows who.
        Raises ValueError when the store does not own it, so nothing is ever closed twice.
        """
        with self._lock:
            if fd not in self._owned:
                raise ValueError(f"descriptor {fd} is not the store's, or was discarded before")
            self._owned.remove(fd)
        if may_block:
            self._closers.submit(fd, sender)
        else:
            _close(fd)

    def unclosed(self, sender: int | None) -> int:
        """How many descriptors that this one sent were discarded and are not closed yet."""
        return self._closers.unclosed(sender)

    def stuck(self, sender: int | None) -> int:
        """The same, if nothing that this one sent can be closed just now; else 0."""
        return self._closers.stuck(sender)

    def drain(self, deadline_seconds: float) -> int:
        """Wait, for so long at most, until all that was discarded is closed. Returns how many are not."""
        return self._closers.drain(deadline_seconds)


def raise_limit() -> int:
    """Raise the limit of open descriptors to what this process may have, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def copy_for_thread(fd: int) -> int:
    """A copy for a thread that may outlive the caller's patience; that thread ends it with `close_copy`."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_COPY)


def close_copy(fd: int) -> None:
    """Close what `copy_for_thread` made. May wait for ever."""
    _close(fd)


class _Closers:
    """Daemon threads that close. One works, one stands by; when the first is stuck, the second takes over.

    A queue with many quick closes needs two threads only, and any number of stuck ones (up to a bound) delays
    the rest by `_STUCK_AFTER_SECONDS` each.
    """

    def __init__(self, most_of_one: int) -> None:
        self._most_of_one = most_of_one
        self._queues: dict[int | None, deque[int]] = {}
        self._waiting = 0
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._all_closed = threading.Condition(lock)
        # By thread, not by descriptor: a number is reused before the thread that freed it has said so.
        self._started_at: dict[int, float] = {}
        self._closing: Counter[int | None] = Counter()
        self._threads = 0

    @property
    def pending(self) -> int:
        with self._work:
            return self._unclosed()

    def unclosed(self, sender: int | None) -> int:
        with self._work:
            return self._unclosed_of(sender)

    def stuck(self, sender: int | None) -> int:
        with self._work:
            return self._unclosed_of(sender) if self._closing[sender] >= self._most_of_one else 0

    def _unclosed_of(self, sender: int | None) -> int:
        return len(self._queues.get(sender, ())) + self._closing[sender]

    def submit(self, fd: int, sender: int | None) -> None:
        with self._work:
            self._queues.setdefault(sender, deque()).append(fd)
            self._waiting += 1
            if not self._threads:
                self._add_thread()
            self._work.notify()

    def drain(self, deadline_seconds: float) -> int:
        with self._all_closed:
            self._all_closed.wait_for(lambda: not self._unclosed(), deadline_seconds)
            return self._unclosed()

    def _unclosed(self) -> int:
        return self._waiting + len(self._started_at)

    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._run, name="closer", daemon=True).start()

    def _run(self) -> None:
        while True:
            fd, sender = self._next()
            _close(fd)
            self._done(sender)

    def _next(self) -> tuple[int, int | None]:
        with self._work:
            while not (queues := self._startable()) or not self._may_start():
                self._work.wait(_STUCK_AFTER_SECONDS if queues else None)
            sender = queues[0]
            fd = self._taken_from(sender)
            self._started_at[threading.get_ident()] = time.monotonic()
            if self._threads == len(self._started_at) < _MOST_CLOSERS:
                self._add_thread()
            return fd, sender

    def _startable(self) -> list[int | None]:
        """The first who has something to be closed, and not all of his threads stuck; or nobody."""
        return list(islice((each for each in self._queues if self._closing[each] < self._most_of_one), 1))

    def _taken_from(self, sender: int | None) -> int:
        queue = self._queues.pop(sender)
        fd = queue.popleft()
        if queue:
            # The rest comes after what others have sent.
            self._queues[sender] = queue
        self._waiting -= 1
        self._closing[sender] += 1
        return fd

    def _may_start(self) -> bool:
        """Whether nobody is in the middle of a close that may well end soon."""
        stuck_if_before = time.monotonic() - _STUCK_AFTER_SECONDS
        return all(started <= stuck_if_before for started in self._started_at.values())

    def _done(self, sender: int | None) -> None:
        with self._work:
            del self._started_at[threading.get_ident()]
            self._closing[sender] -= 1
            if not self._closing[sender]:
                del self._closing[sender]
            if not self._unclosed():
                self._all_closed.notify_all()


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError as error:
        if error.errno == errno.EBADF:
            _log.error("descriptor %d was closed behind the store's back", fd)
        else:  # the kernel has let go of it in any case; the error is about data that its writer left behind
            _log.warning("descriptor %d closed with an error: %s", fd, error)
