"""The server: accepts clients, and knows what each user and all together may use."""

import errno
import logging
import socket
import time

from fdstorefs.errors import Overloaded
from fdstorefs.server.context import Context
from fdstorefs.server.loop import Timer
from fdstorefs.server.varlink import service
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.connection import Account, Connection
from fdstorefs.server.varlink.flight import Flight, bounds
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.outbox import SEND_FLAGS, Outbox
from fdstorefs.server.varlink.reply import Reply, failure
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.shares import Share, Shares

CONNECTIONS_PER_UID = 256
CONNECTIONS = 1024
MEMORY_PER_UID = 1 << 26
MEMORY = 1 << 28
HELD_PER_UID = 1024
HELD = 4096
ACCEPTED_AT_ONCE = 16
PAUSE_SECONDS = 0.1
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger(__name__)


class VarlinkServer:
    """All connections of one instance. The listening socket remains its owner's."""

    def __init__(self, context: Context, listening: socket.socket) -> None:
        self.loop = context.loop
        self._context = context
        self._listening = listening
        self._clients: dict[Connection, None] = {}
        self._connections = Shares(CONNECTIONS_PER_UID, CONNECTIONS)
        self._memory = Shares(MEMORY_PER_UID, MEMORY)
        self._held = Shares(HELD_PER_UID, HELD)
        self._in_flight = bounds(context.intake.limit)
        self._pause: Timer | None = None
        listening.setblocking(False)
        # Accepted sockets inherit it, so even what a client sends before it is accepted names its sender.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.loop.register(listening.fileno(), self._on_clients)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def close(self) -> None:
        """Accept no more clients and end all connections."""
        if self._pause is not None:
            self._pause.cancel()
        self.loop.unregister(self._listening.fileno())
        for client in tuple(self._clients):
            client.close()

    # Accepting

    def _on_clients(self, _events: int) -> None:
        try:
            for _ in range(ACCEPTED_AT_ONCE):
                self._accept(self._listening.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            log.error("no further clients for the moment: %s", error)
            self._rest()

    def _rest(self) -> None:
        # The client waits in the backlog and would be reported again at once.
        self.loop.unregister(self._listening.fileno())
        self._pause = self.loop.call_at(time.monotonic() + PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self.loop.register(self._listening.fileno(), self._on_clients)

    def _accept(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        sender = Sender(connected, self._context.subjects)
        uid = sender.uid
        if not self._connections.fits(uid, 1):
            _turn_away(connected, uid)
            sender.close()
            return
        self._connections.take(uid, 1)
        flight = Flight(connected, self._in_flight, uid, lambda: self._flights_of(uid))
        account = Account(Share(self._held, uid), Share(self._memory, uid))
        self._clients[Connection(connected, self, sender, Outbox(connected, flight), account)] = None

    def _flights_of(self, uid: int) -> list[Flight]:
        return [client.outbox.flight for client in self._clients if client.sender.uid == uid]

    # For the connections

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed."""
        return service.answer(self._context, message, sender)

    def discard(self, descriptor: int) -> None:
        """Close a descriptor that a client sent, without waiting."""
        self._context.intake.discard_stray(descriptor)

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        del self._clients[connection]
        self._connections.take(connection.sender.uid, -1)


def _turn_away(connected: socket.socket, uid: int) -> None:
    log.warning("uid %d has too many connections; a further one is refused", uid)
    with connected:
        try:
            connected.send(
                failure(Overloaded("too many connections", hint="close one first")).data, SEND_FLAGS
            )
        except OSError as error:
            log.debug("it is gone already: %s", error)


def serve(context: Context, listening: socket.socket) -> VarlinkServer:
    """Serve the interface on a Unix socket that listens already. It is not closed with the server."""
    return VarlinkServer(context, listening)
