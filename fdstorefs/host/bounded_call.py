"""Ask something about a socket that may never be answered, and wait only so long.

Whoever shares a socket can stall calls on it in the kernel, where no signal helps: a sender that faults on
memory of a dead FUSE server sleeps with the socket locked. The question is put by another thread; when that
doesn't come back, it is left behind, and comes back for other work if it ever wakes up.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from fdstorefs.host import descriptors, syscalls

Answer = TypeVar("Answer")

_MOST_THREADS = 16


def ask_about(fd: int, question: Callable[[int], Answer], seconds: float) -> Answer:
    """The answer of `question(copy of fd)`, and whatever it raises.

    The copy belongs to the question's thread, so that a late question never meets a reused number. Raises
    TimeoutError after `seconds`; and at once where an earlier question about this socket is stuck, or
    `_MOST_THREADS` about others.
    """
    inode = syscalls.statx_cached(fd).ino
    asked = _Question(descriptors.copy_for_thread(fd), inode, question)
    if not _threads.take(asked):
        descriptors.close_copy(asked.fd)
        raise TimeoutError("the socket, or too many others, are held up by their other users")
    try:
        return asked.wait(seconds)
    except queue.Empty:
        _threads.give_up(asked)
        raise TimeoutError("the socket is held up by another of its users") from None


class _Question(Generic[Answer]):
    def __init__(self, fd: int, inode: int, question: Callable[[int], Answer]) -> None:
        self.fd = fd
        self.inode = inode
        self.is_over = False
        self._question = question
        self._answers: queue.SimpleQueue[Callable[[], Answer]] = queue.SimpleQueue()

    def put(self) -> None:
        """Ask, in the thread that may get stuck."""
        try:
            answer = self._question(self.fd)
        except Exception as error:  # noqa: BLE001 - not handled here: `wait` raises it in the thread that asked
            self._answers.put(_raiser(error))
        else:
            self._answers.put(lambda: answer)
        descriptors.close_copy(self.fd)

    def wait(self, seconds: float) -> Answer:
        return self._answers.get(timeout=seconds)()


def _raiser(error: Exception) -> Callable[[], NoReturn]:
    def raise_error() -> NoReturn:
        raise error

    return raise_error


_Inbox = queue.SimpleQueue[_Question[object]]


class _Threads:
    """The threads that ask, and the inodes of the sockets that some of them are stuck with."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start with no threads."""
        self._lock = threading.Lock()
        self._idle: list[_Inbox] = []
        self._count = 0
        self._stuck: set[int] = set()

    def take(self, asked: _Question[Answer]) -> bool:
        """Have a thread put the question. False where it would only get stuck, or all threads are."""
        with self._lock:
            if asked.inode in self._stuck or not (self._idle or self._count < _MOST_THREADS):
                return False
            inbox = self._idle.pop() if self._idle else self._start()
        inbox.put(asked)  # type: ignore[arg-type]  # no matter to the thread what the answer is
        return True

    def give_up(self, asked: _Question[Answer]) -> None:
        """Nobody waits for this answer any more: ask nothing else about that socket until it comes."""
        with self._lock:
            if not asked.is_over:
                self._stuck.add(asked.inode)

    def _start(self) -> _Inbox:
        self._count += 1
        inbox: _Inbox = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(inbox,), name="asker", daemon=True).start()
        return inbox

    def _serve(self, inbox: _Inbox) -> None:
        while True:
            asked = inbox.get()
            asked.put()
            with self._lock:
                asked.is_over = True
                self._stuck.discard(asked.inode)
                self._idle.append(inbox)


_threads = _Threads()
# The threads don't live on in a child.
os.register_at_fork(after_in_child=_threads.forget)
