"""A process that forks actors: a new interpreter takes a second and more in an emulated machine, a fork no time.

It is forked from pytest before any test runs, holds none of the tests' descriptors and has one thread.
"""

import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from tests.kernel.messages import Message, receive, send
from tests.kernel.role import Role, acting


class ForkServer:
    """The server, as the tests see it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            self._line.close()
            _live(_serve, theirs)
        theirs.close()

    def fork(self, role: Role) -> tuple[int, socket.socket]:
        """A new process in a role; its pid, and the line on which it takes its calls."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            answer = self._ask({"fork": role.as_message()}, (theirs.fileno(),))
        return int(answer["pid"]), ours

    def end(self, pid: int) -> int:
        """Kill a process that was forked here, unless it has ended; its exit status, negative for a signal."""
        return int(self._ask({"end": pid})["status"])

    def close(self) -> None:
        """End the server; its processes notice that nobody calls them any more."""
        self._line.close()
        os.waitpid(self._pid, 0)

    def _ask(self, message: Message, descriptors: tuple[int, ...] = ()) -> Message:
        send(self._line, message, descriptors)
        return receive(self._line)[0]


def _serve(line: socket.socket) -> None:
    while True:
        try:
            message, descriptors = receive(line)
        except EOFError:
            return
        if "end" in message:
            send(line, {"status": _end(message["end"])})
        else:
            with socket.socket(fileno=descriptors[0]) as theirs:
                send(line, {"pid": _fork(Role.from_message(message["fork"]), theirs, line)})


def _fork(role: Role, theirs: socket.socket, line: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        line.close()
        _live(partial(acting, role), theirs)
    return pid


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _live(work: Callable[[socket.socket], None], line: socket.socket) -> NoReturn:
    """Do this process's work and be gone: nothing of pytest's, which it is a copy of, may run in it."""
    status = 1
    try:
        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        work(line)
        status = 0
    finally:
        os._exit(status)
