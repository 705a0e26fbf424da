"""Ask something that may never be answered, and wait only so long.

Whoever shares a socket can stall calls on it in the kernel, where no signal helps: a sender that faults on
memory of a dead FUSE server sleeps with the socket locked. The question is put by another thread; when that
doesn't come back, it is left behind, and comes back for other work if it ever wakes up.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from fdstorefs.host import descriptors

Answer = TypeVar("Answer")

_MOST_THREADS = 16

_Inbox = queue.SimpleQueue[Callable[[], None]]


def ask_about(fd: int, question: Callable[[int], Answer], seconds: float) -> Answer:
    """The answer of `question(copy of fd)`, and whatever it raises.

    The copy belongs to the question's thread, so that a late question never meets a reused number. Raises
    TimeoutError after `seconds`, and at once where `_MOST_THREADS` earlier questions are stuck already.
    """
    asked = _Question(descriptors.copy_for_thread(fd), question)
    inbox = _threads.free()
    if inbox is None:
        descriptors.close_copy(asked.fd)
        raise TimeoutError("too many sockets are held up by their other users")
    inbox.put(asked.put)
    return asked.wait(seconds)


class _Question(Generic[Answer]):
    def __init__(self, fd: int, question: Callable[[int], Answer]) -> None:
        self.fd = fd
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
        try:
            return self._answers.get(timeout=seconds)()
        except queue.Empty:
            raise TimeoutError("the socket is held up by another of its users") from None


def _raiser(error: Exception) -> Callable[[], NoReturn]:
    def raise_error() -> NoReturn:
        raise error

    return raise_error


class _Threads:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start with no threads."""
        self._lock = threading.Lock()
        self._idle: list[_Inbox] = []
        self._count = 0

    def free(self) -> _Inbox | None:
        """Where to put a question for a thread that has nothing to do; None when all are stuck."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._count == _MOST_THREADS:
                return None
            self._count += 1
        inbox: _Inbox = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(inbox,), name="asker", daemon=True).start()
        return inbox

    def _serve(self, inbox: _Inbox) -> None:
        while True:
            inbox.get()()
            with self._lock:
                self._idle.append(inbox)


_threads = _Threads()
# The threads don't live on in a child.
os.register_at_fork(after_in_child=_threads.forget)
