"""The server: an instance's interface, for the clients that its reception lets in."""

import socket
from collections.abc import Callable

from fdstorefs.server.budget import budget
from fdstorefs.server.context import Context
from fdstorefs.server.passed import Packing, Passed
from fdstorefs.server.shares import Most
from fdstorefs.server.varlink import service
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.handing_over import connect_again, tell_connections
from fdstorefs.server.varlink.reception import Limits, Reception
from fdstorefs.server.varlink.reply import Reply, failure
from fdstorefs.server.varlink.sender import Sender

MEMORY = Most(1 << 26, 1 << 28)


class VarlinkServer:
    """Serves one instance, from `begin` on. The listening socket remains its owner's."""

    def __init__(self, context: Context, listening: socket.socket) -> None:
        self._context = context
        self.failure = failure
        parts = budget(context.intake.limit)
        limits = Limits(parts.connections, MEMORY, parts.held, context.intake.limit)
        self._reception = Reception(context.loop, listening, self, context.subjects, limits)
        self._packing: Packing | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._reception.connections

    def close(self) -> None:
        """Accept no more clients and end all connections."""
        self._reception.close()

    # Handing over to the server of another process, and taking over from it

    def freeze(self, done: Callable[[], None]) -> None:
        """Accept and receive no more; `done` is called in the loop once `hand_over` may be."""
        self._reception.freeze(done)

    def thaw(self) -> None:
        """Go on as before, whether `done` was called or not (then it is called no more)."""
        self.leave()
        self._reception.thaw()

    def hand_over(self) -> Passed:
        """All that another server must know to go on. From now on nothing is sent.

        What is passed is this server's until it ends. Raises OSError, and can be thawed then.
        """
        self._packing = Packing()
        return tell_connections(self._reception.clients, self._packing)

    def leave(self) -> None:
        """The other server serves: nothing is sent, closed or given back here, and this object cannot be closed."""
        if self._packing is not None:
            self._packing.close()
            self._packing = None

    def take_over(self, passed: Passed) -> None:
        """Let those in whom another server had let in; before `begin`. See `take_over`."""
        connect_again(self._reception, self._context, passed)

    def begin(self) -> None:
        """Serve: first what another server has left undone, if there was one."""
        self._reception.begin()

    # For the reception

    def admits(self, _uid: int) -> bool:
        """Everybody who may open the socket."""
        return True

    def came(self, connected: socket.socket, sender: Sender) -> None:
        """Nobody is to be told."""

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed."""
        return service.answer(self._context, message, sender)

    def discard(self, descriptor: int, sender: Sender) -> None:
        """Close a descriptor that a client sent, without waiting."""
        self._context.intake.discard_stray(descriptor, sender.uid)

    def waits(self, descriptor: int) -> None:
        """Do not have the kernel withhold it all the while."""
        self._context.intake.let_wait(descriptor)

    def left(self, sender: Sender) -> None:
        """Nobody is to be told."""


def serve(context: Context, listening: socket.socket) -> VarlinkServer:
    """Serve the interface on a Unix socket that listens already. It is not closed with the server."""
    server = VarlinkServer(context, listening)
    server.begin()
    return server


def take_over(context: Context, listening: socket.socket, passed: Passed) -> VarlinkServer:
    """Go on for a server that has handed over, from `begin` on: until then nothing is received, sent or registered.

    The listening socket remains its owner's; what was passed is taken over. Raises NotUnderstood, OSError.
    """
    server = VarlinkServer(context, listening)
    server.take_over(passed)
    return server
