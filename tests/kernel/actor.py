"""A process with a role, which does what a test tells it, one call at a time."""

import socket
from collections.abc import Callable
from typing import Any

from tests.kernel.fork_server import ForkServer
from tests.kernel.messages import Message, receive, send
from tests.kernel.role import Role


class ActorFailed(AssertionError):
    """A call ended in an exception that isn't an OSError; the text is its traceback."""


class Obedient:
    """The process `pid`, or a thread of it, that does the calls which come through `line`."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self.line = line
        """Readable when the call that was begun has ended."""

    def call(self, function: Callable[..., Any], *arguments: Any, descriptors: tuple[int, ...] = ()) -> Any:
        """What a function of some test's module returns there; both arguments and result go through JSON.

        Descriptors are passed by SCM_RIGHTS and come as further arguments, under other numbers. An OSError is
        raised here again, with its errno; ActorFailed for any other exception.
        """
        self.begin(function, *arguments, descriptors=descriptors)
        return self.outcome()

    def begin(self, function: Callable[..., Any], *arguments: Any, descriptors: tuple[int, ...] = ()) -> None:
        """The same without waiting for the end; `outcome` does that."""
        what = {"module": function.__module__, "name": function.__name__, "arguments": arguments}
        send(self.line, what, descriptors)

    def outcome(self) -> Any:
        """What the call that was begun returns; EOFError when the process has ended."""
        message, _ = receive(self.line)
        return message["result"] if "result" in message else _raise(message)


class Actor(Obedient):
    """A process of its own, as the test sees it; what a call leaves open or changes is there in the next."""

    def __init__(self, server: ForkServer, role: Role) -> None:
        self._server = server
        self.role = role
        self._status: int | None = None
        super().__init__(*server.fork(role))
        self.outcome()

    def end(self) -> int:
        """Kill it if it lives; its exit status, negative for a signal."""
        self.line.close()
        if self._status is None:
            self._status = self._server.end(self.pid)
        return self._status


def _raise(message: Message) -> Any:
    if message["errno"] is not None:
        raise OSError(message["errno"], message["why"])
    raise ActorFailed(message["trace"])
