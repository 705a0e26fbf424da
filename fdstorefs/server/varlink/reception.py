"""The reception of a service: accepts its clients, and bounds what each user and all together may use."""

import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from fdstorefs.errors import Overloaded, StoreError
from fdstorefs.server.loop import Loop, Timer
from fdstorefs.server.out_of_descriptors import as_quota
from fdstorefs.server.shares import Most, Share, Shares
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.user_turns import UserTurns
from fdstorefs.server.varlink.clerk import Clerk
from fdstorefs.server.varlink.connection import Account, Connection
from fdstorefs.server.varlink.flight import Flight, bounds
from fdstorefs.server.varlink.outbox import SEND_FLAGS, Outbox
from fdstorefs.server.varlink.peer import HeldPeer
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.turned_away import TurnedAway

ACCEPTED_AT_ONCE = 16
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 1.5
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """What clients may use: connections, bytes kept for them, and descriptors that they sent and nobody took yet.

    `descriptors` is how many the process may have, of which those sent to clients get a part. `idle_give_way`: who
    comes when all places are taken gets that of the client who has been there longest, without a call if there is one.
    """

    connections: Most
    memory: Most
    held: Most
    descriptors: int
    idle_give_way: bool = False


class Service(Clerk, Protocol):
    """What clients come for."""

    def admits(self, uid: int) -> bool:
        """Whether a user may have one more connection, as far as it is not a matter of how many there are."""

    def came(self, connected: socket.socket, sender: Sender) -> None:
        """Somebody has connected, and may stay."""

    def left(self, sender: Sender) -> None:
        """Somebody's connection has ended."""


class Reception:
    """All connections to one service, from `begin` on. The listening socket remains its owner's."""

    def __init__(
        self, loop: Loop, listening: socket.socket, service: Service, subjects: Subjects, limits: Limits
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._service = service
        self._subjects = subjects
        self._clients: dict[Connection, None] = {}
        self._turns: dict[int, UserTurns] = {}
        self._turned_away = TurnedAway()
        self._connections = Shares(*limits.connections)
        self._memory = Shares(*limits.memory)
        self._held = Shares(*limits.held)
        self._idle_give_way = limits.idle_give_way
        self._in_flight = bounds(limits.descriptors)
        self._pause: Timer | None = None
        self.answer = service.answer
        self.failure = service.failure
        self.discard = service.discard
        self.waits = service.waits
        self._stilled: Callable[[], None] | None = None
        self._patience: Timer | None = None

    def begin(self) -> None:
        """Let clients in."""
        self._listening.setblocking(False)
        # Accepted sockets inherit it, so whatever a client sends names its sender.
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        for client in self.clients:
            client.begin()
        self._listen()

    def _listen(self) -> None:
        self._loop.register(self._listening.fileno(), self._on_clients)

    @property
    def clients(self) -> tuple[Connection, ...]:
        """All of them."""
        return tuple(self._clients)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def close(self) -> None:
        """Accept no more clients and end all connections."""
        self._stop_listening()
        self.end_connections()

    def _stop_listening(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.unregister(self._listening.fileno())

    def end_connections(self) -> None:
        """End those that there are now."""
        for client in self.clients:
            client.close()

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        del self._clients[connection]
        uid = connection.sender.uid
        self._connections.take(uid, -1)
        if not self._connections.of(uid):
            self._turns.pop(uid).close()
        self._service.left(connection.sender)

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
        self._loop.unregister(self._listening.fileno())
        self._pause = self._loop.call_at(time.monotonic() + PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._listen()

    def _accept(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        sender = Sender(connected, self._subjects)
        uid = sender.uid
        try:
            self._make_room(uid)
            self._require_room(uid)
            self._turns_of(uid)
        except StoreError as error:
            self._turn_away(connected, uid, error)
            sender.close()
            return
        self._let_in(connected, sender).begin()

    def _let_in(self, connected: socket.socket, sender: Sender) -> Connection:
        uid = sender.uid
        self._service.came(connected, sender)
        self._connections.take(uid, 1)
        flight = Flight(connected, self._in_flight, uid, lambda: self._flights_of(uid))
        account = Account(Share(self._held, uid), Share(self._memory, uid))
        outbox = Outbox(connected, flight)
        client = Connection(connected, self, self._turns_of(uid), sender, outbox, account)
        self._clients[client] = None
        return client

    # Another server is to go on

    def freeze(self, done: Callable[[], None]) -> None:
        """Let nobody in and serve nobody; `done` is called in the loop when no call goes on that has to end here.

        One that takes too long fails: no client may keep another server from taking over.
        """
        self._stop_listening()
        self._stilled = done
        for client in self.clients:
            client.freeze()
        self._patience = self._loop.call_at(time.monotonic() + PATIENCE_SECONDS, self._end_calls)
        self._loop.call_soon(self.stilled)

    def stilled(self) -> None:
        """A call has ended, perhaps the last."""
        done = self._stilled
        if done is not None and all(client.is_still for client in self._clients):
            self._stop_freezing()
            done()

    def _end_calls(self) -> None:
        for client in self.clients:
            client.end_call()

    def _stop_freezing(self) -> None:
        self._stilled = None
        if self._patience is not None:
            self._patience.cancel()

    def thaw(self) -> None:
        """Go on."""
        self._stop_freezing()
        for client in self.clients:
            client.thaw()
        self._listen()

    def let_in_again(self, connected: socket.socket, held: HeldPeer) -> Connection:
        """A client that another server has let in."""
        connected.setblocking(False)
        return self._let_in(connected, Sender(connected, self._subjects, held))

    def _flights_of(self, uid: int) -> list[Flight]:
        return [client.outbox.flight for client in self._clients if client.sender.uid == uid]

    def _make_room(self, uid: int) -> None:
        if not self._idle_give_way or self._connections.fits(uid, 1):
            return
        if self._connections.of(uid) >= self._connections.per_uid:
            idle = (client for client in self._clients if client.is_idle and client.sender.uid == uid)
            former = next(idle, None)
        else:
            former = min(self._clients, key=lambda client: not client.is_idle)
        if former is not None:
            former.close()

    def _require_room(self, uid: int) -> None:
        hint = "close one first, or try again"
        if self._connections.of(uid) >= self._connections.per_uid:
            most = self._connections.per_uid
            raise Overloaded(f"uid {uid} has {most} connections, as many as one user may have", hint=hint)
        if not self._connections.fits(uid, 1):
            raise Overloaded(
                f"there are {self._connections.used} connections, as many as there may be", hint=hint
            )
        if not self._service.admits(uid):
            raise Overloaded(f"uid {uid} has too much under way", hint=hint)

    def _turns_of(self, uid: int) -> UserTurns:
        if uid not in self._turns:
            try:
                self._turns[uid] = UserTurns(self._loop, uid)
            except OSError as error:
                raise as_quota(error) from error
        return self._turns[uid]

    def _turn_away(self, connected: socket.socket, uid: int, error: StoreError) -> None:
        self._turned_away.tell(uid, error.message)
        with connected:
            try:
                connected.send(self.failure(error).data, SEND_FLAGS)
            except OSError as gone:
                log.debug("it is gone already: %s", gone)
