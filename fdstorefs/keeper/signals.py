"""Signals to the keeper: each is a byte in a pipe, which the loop acts on when it comes to it."""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fdstorefs.keeper.terminal import has_terminal

_FORWARDED = (signal.SIGTERM, signal.SIGINT)
_CAUGHT = (*_FORWARDED, signal.SIGHUP)


class Signals:
    """`pipe` can be read when there is something to hear; a NUL written to `wake` makes it so without a signal."""

    def __init__(self) -> None:
        self.pipe = self.wake = -1
        self._had_terminal = has_terminal()

    def catch(self) -> None:
        """From now on."""
        self.pipe, self.wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        for number in _CAUGHT:
            signal.signal(number, _wake_up_only)
        # What came while a new program took the place of the old one has waited.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        # Who ignores it never learns how a child ended, and that may have been inherited.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def leave(self) -> None:
        """In a child: they are its own affair."""
        signal.set_wakeup_fd(-1)
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        # That a terminal has hung up, or somebody wants an upgrade, is the keeper's affair.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for end in (self.pipe, self.wake):
            os.close(end)

    @property
    def is_ringing(self) -> bool:
        """Whether there is something to hear."""
        waiting = select.poll()
        waiting.register(self.pipe, select.POLLIN)
        return bool(waiting.poll(0))

    def heard(self) -> list[int]:
        """What has come: SIGTERM or SIGINT, the instance is to end; SIGHUP, an upgrade is wanted."""
        came = [number for number in dict.fromkeys(self._drained()) if number in _CAUGHT]
        return [
            signal.SIGTERM if number == signal.SIGHUP and self._has_hung_up() else number for number in came
        ]

    def heard_to_end(self, seconds: float) -> bool:
        """Wait so long, but no longer than until the instance is to end. Whether it is."""
        until = time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(self.pipe, select.POLLIN)
        while waiting.poll(1000 * max(until - time.monotonic(), 0)):
            if any(number in _FORWARDED for number in self.heard()):
                return True
        return False

    def _drained(self) -> bytes:
        try:
            return os.read(self.pipe, 4096)
        except BlockingIOError:
            return b""

    def _has_hung_up(self) -> bool:
        return self._had_terminal and not has_terminal()


@contextmanager
def held_back() -> Iterator[None]:
    """Let signals wait meanwhile. A child that is forked here, or what this process executes, begins so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)


def _wake_up_only(_number: int, _frame: object) -> None:
    """The byte in the pipe is what the loop acts on."""
