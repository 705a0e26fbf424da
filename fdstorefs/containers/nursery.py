"""A process that forks keepers, and does nothing else.

What a parent writes to between two forks, each of its children has for itself: the service, which talks to clients and
looks at containers, would leave megabytes with each. This process has been forked from it when all was loaded and
nothing had happened yet, and touches little since.
"""

import array
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn

from fdstorefs.containers.letting_go import keep_only
from fdstorefs.host.readable import becomes_readable

PATIENCE_SECONDS = 5.0
"""How long it may take to have a child, or to end."""

log = logging.getLogger(__name__)

_MOST_DESCRIPTORS = 8
_SPACE = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
_MOST_BYTES = 1 << 20

Become = Callable[[bytes, tuple[int, ...]], NoReturn]
"""In a child: be what the message says, with these descriptors."""


class Child(NamedTuple):
    """A process that has begun. The pidfd is the caller's."""

    pid: int
    pidfd: int


class Nursery:
    """The service's side. The process, `pid`, is forked when this is made, and again if it has been killed."""

    def __init__(self, become: Become) -> None:
        self._become = become
        self._line = self._begin()

    def _begin(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        for end in (ours, its):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        ours.settimeout(PATIENCE_SECONDS)
        _flush()
        self.pid = os.fork()
        if self.pid == 0:
            _nurse(its.detach(), self._become)
        its.close()
        return ours

    def close(self) -> None:
        """Have no more children. Those that there are go on."""
        self._line.close()
        pidfd = os.pidfd_open(self.pid)
        try:
            if not becomes_readable(pidfd, PATIENCE_SECONDS):
                os.kill(self.pid, signal.SIGKILL)
                if not becomes_readable(pidfd, PATIENCE_SECONDS):
                    log.error("process %d, which forks keepers, does not even die", self.pid)
                    return
        finally:
            os.close(pidfd)
        os.waitpid(self.pid, 0)

    def fork(self, message: bytes, descriptors: Sequence[int]) -> Child:
        """A new process that gets this message and copies of the descriptors. Raises OSError."""
        try:
            return self._ask(message, descriptors)
        except TimeoutError:
            # Not asked again: a child that nobody has told us of may be there.
            log.error("process %d, which forks keepers, does not answer, and is replaced", self.pid)
            os.kill(self.pid, signal.SIGKILL)
            self._begin_again()
            raise
        except (BrokenPipeError, ConnectionResetError):
            self._begin_again()
            return self._ask(message, descriptors)

    def _begin_again(self) -> None:
        self.close()
        self._line = self._begin()

    def _ask(self, message: bytes, descriptors: Sequence[int]) -> Child:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._line.sendmsg([message], rights, socket.MSG_NOSIGNAL)
        told, beside, _, _ = self._line.recvmsg(64, _SPACE, socket.MSG_CMSG_CLOEXEC)
        if not told:
            raise ConnectionResetError
        number = int(told)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return Child(number, _descriptors(beside)[0])


def _nurse(number: int, become: Become) -> NoReturn:
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for name in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)
        keep_only({number})
        line = socket.socket(fileno=number)
        while True:
            message, beside, _, _ = line.recvmsg(_MOST_BYTES, _SPACE, socket.MSG_CMSG_CLOEXEC)
            if not message:
                break
            _have_child(line, message, _descriptors(beside), become)
    except BaseException as error:  # noqa: BLE001  nothing may get past the fork
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(0)


def _have_child(line: socket.socket, message: bytes, descriptors: list[int], become: Become) -> None:
    held: list[int] = []
    # It may be over at once, and has to be there until it is held.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        pid = os.fork()
        if pid == 0:
            # With it open, nobody would notice that our parent is gone.
            line.close()
            _grow_up(message, descriptors, become)
        held.append(os.pidfd_open(pid))
        told = pid
    except OSError as error:
        told = -(error.errno or 1)
    # Nobody waits for our children: the service watches those that matter to it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _leave_none_behind()
    line.sendmsg(
        [str(told).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", held))] if held else []
    )
    # After the answer: whatever may be stuck in being closed, this child is there.
    for descriptor in (*held, *descriptors):
        os.close(descriptor)


def _leave_none_behind() -> None:
    """Those that have ended while one was forked."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _grow_up(message: bytes, descriptors: list[int], become: Become) -> NoReturn:
    try:
        become(message, tuple(descriptors))
    except BaseException as error:  # noqa: BLE001  nothing may get past the fork
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(1)


def _descriptors(beside: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for _, _, data in beside:
        found.frombytes(data)
    return list(found)


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
