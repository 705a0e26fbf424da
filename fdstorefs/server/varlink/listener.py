"""The server: an instance's interface, for the clients that its reception lets in."""

import socket

from fdstorefs.server.budget import budget
from fdstorefs.server.context import Context
from fdstorefs.server.shares import Most
from fdstorefs.server.varlink import service
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reception import Limits, Reception
from fdstorefs.server.varlink.reply import Reply, failure
from fdstorefs.server.varlink.sender import Sender

MEMORY = Most(1 << 26, 1 << 28)


class VarlinkServer:
    """Serves one instance. The listening socket remains its owner's."""

    def __init__(self, context: Context, listening: socket.socket) -> None:
        self._context = context
        self.failure = failure
        parts = budget(context.intake.limit)
        limits = Limits(parts.connections, MEMORY, parts.held, context.intake.limit)
        self._reception = Reception(context.loop, listening, self, context.subjects, limits)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._reception.connections

    def close(self) -> None:
        """Accept no more clients and end all connections."""
        self._reception.close()

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
    return VarlinkServer(context, listening)
