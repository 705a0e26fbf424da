"""The server: an instance's interface, for the clients that its reception lets in."""

import socket
from collections.abc import Callable

from fdstorefs.server.context import Context
from fdstorefs.server.passed import Passed
from fdstorefs.server.varlink import service
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reception import Limits, Most, Reception
from fdstorefs.server.varlink.reply import Reply, failure
from fdstorefs.server.varlink.sender import Sender

CONNECTIONS = Most(256, 1024)
MEMORY = Most(1 << 26, 1 << 28)
HELD = Most(1024, 4096)


class VarlinkServer:
    """Serves one instance. The listening socket remains its owner's."""

    def __init__(self, context: Context, listening: socket.socket) -> None:
        self._context = context
        self.failure = failure
        limits = Limits(CONNECTIONS, MEMORY, HELD, context.intake.limit)
        self._reception = Reception(context.loop, listening, self, context.subjects, limits)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._reception.connections

    def close(self) -> None:
        """Accept no more clients and end all connections."""
        self._reception.close()

    # Handing over to the server of another process

    def freeze(self, done: Callable[[], None]) -> None:
        """Accept and receive no more; `done` is called in the loop once `hand_over` may be."""
        raise NotImplementedError

    def thaw(self) -> None:
        """Go on as before, whether `done` was called or not (then it is called no more)."""
        raise NotImplementedError

    def hand_over(self) -> Passed:
        """All that another server must know to go on. From now on nothing is sent."""
        raise NotImplementedError

    def leave(self) -> None:
        """The other server serves: forget all. Nothing is sent, closed or given back."""
        raise NotImplementedError

    def begin(self) -> None:
        """Serve, after `take_over`."""
        raise NotImplementedError

    # For the reception

    def admits(self, _uid: int) -> bool:
        """Everybody who may open the socket."""
        return True

    def came(self, connected: socket.socket, sender: Sender) -> None:
        """Nobody is to be told."""

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed."""
        return service.answer(self._context, message, sender)

    def discard(self, descriptor: int, _sender: Sender) -> None:
        """Close a descriptor that a client sent, without waiting."""
        self._context.intake.discard_stray(descriptor)

    def waits(self, descriptor: int) -> None:
        """Do not have the kernel withhold it all the while."""
        self._context.intake.let_wait(descriptor)

    def left(self, sender: Sender) -> None:
        """Nobody is to be told."""


def serve(context: Context, listening: socket.socket) -> VarlinkServer:
    """Serve the interface on a Unix socket that listens already. It is not closed with the server."""
    return VarlinkServer(context, listening)


def take_over(context: Context, listening: socket.socket, passed: Passed) -> VarlinkServer:
    """Go on for a server that has handed over, from `begin` on: until then nothing is received, sent or registered.

    The listening socket remains its owner's; what was passed is taken over. Raises NotUnderstood, OSError.
    """
    raise NotImplementedError
