"""The desk: accepts callers on the enforcer's socket, and bounds what each user and all together may use."""

import errno
import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Callable

from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.errors import EnforcerError
from fdstorefs.enforcer.replies import failure
from fdstorefs.errors import Overloaded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop, Timer
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.connection import Account, Connection
from fdstorefs.server.varlink.flight import Flight, bounds
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.listener import OUT_OF_DESCRIPTORS
from fdstorefs.server.varlink.outbox import SEND_FLAGS, Outbox
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.shares import Share, Shares

CONNECTIONS_PER_UID, CONNECTIONS = 128, 4608
MEMORY_PER_UID, MEMORY = 1 << 25, 1 << 28
HELD_PER_UID, HELD = 1024, 8192
ACCEPTED_AT_ONCE = 16
PAUSE_SECONDS = 0.1
BACKLOG = 512
DIRECTORY_MODE, SOCKET_MODE = 0o755, 0o666

log = logging.getLogger(__name__)

Answer = Callable[[Message, Sender, Caller], Reply | Activity | None]


class Desk:
    """All connections. `answer` carries a message out, `gone` is told when a caller's connection has ended."""

    def __init__(
        self,
        loop: Loop,
        listening: socket.socket,
        descriptors: Descriptors,
        answer: Answer,
        gone: Callable[[Caller], None],
    ) -> None:
        self.loop = loop
        self._listening = listening
        self._descriptors = descriptors
        self._answer = answer
        self._gone = gone
        self._subjects = Subjects()
        self._clients: dict[Connection, None] = {}
        self._callers: dict[Sender, Caller] = {}
        self._connections = Shares(CONNECTIONS_PER_UID, CONNECTIONS)
        self._memory = Shares(MEMORY_PER_UID, MEMORY)
        self._held = Shares(HELD_PER_UID, HELD)
        self._in_flight = bounds(0)
        self._pause: Timer | None = None
        loop.register(listening.fileno(), self._on_clients)

    def close(self) -> None:
        """Accept no more callers and end all connections."""
        if self._pause is not None:
            self._pause.cancel()
        self.loop.unregister(self._listening.fileno())
        for client in tuple(self._clients):
            client.close()

    def _on_clients(self, _events: int) -> None:
        try:
            for _ in range(ACCEPTED_AT_ONCE):
                self._accept(self._listening.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            log.error("no further callers for the moment: %s", error)
            self._rest()

    def _rest(self) -> None:
        self.loop.unregister(self._listening.fileno())
        self._pause = self.loop.call_at(time.monotonic() + PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self.loop.register(self._listening.fileno(), self._on_clients)

    def _accept(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        sender = Sender(connected, self._subjects)
        uid = sender.uid
        if not self._connections.fits(uid, 1):
            _turn_away(connected, uid)
            sender.close()
            return
        self._connections.take(uid, 1)
        self._callers[sender] = Caller(connected)
        flight = Flight(connected, self._in_flight, uid, lambda: ())
        account = Account(Share(self._held, uid), Share(self._memory, uid))
        self._clients[Connection(connected, self, sender, Outbox(connected, flight), account)] = None

    # For the connections

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed."""
        return self._answer(message, sender, self._callers[sender])

    def discard(self, descriptor: int) -> None:
        """Close a descriptor that a caller sent, without waiting."""
        self._descriptors.adopt(descriptor)
        self._descriptors.discard(descriptor, may_block=True)

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        del self._clients[connection]
        caller = self._callers.pop(connection.sender)
        self._connections.take(connection.sender.uid, -1)
        self._gone(caller)
        caller.close()


def _turn_away(connected: socket.socket, uid: int) -> None:
    log.warning("uid %d has too many connections; a further one is refused", uid)
    with connected:
        try:
            connected.send(failure(Overloaded("too many connections", hint="close one")).data, SEND_FLAGS)
        except OSError as error:
            log.debug("it is gone already: %s", error)


class Door:
    """The listening socket and its place, which one enforcer has at a time."""

    def __init__(self, path: str) -> None:
        """Raises EnforcerError if another enforcer runs, or the socket cannot be made."""
        self._path = path
        directory = os.path.dirname(path)
        try:
            os.makedirs(directory, DIRECTORY_MODE, exist_ok=True)
            _check_directory(directory)
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EnforcerError(
                f"cannot serve at `{path}`: {error.strerror}", hint="run it as root"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.listening = _bound(path)
        except BlockingIOError as error:
            os.close(self._lock)
            raise EnforcerError(
                f"another enforcer runs: it holds `{path}.lock`",
                hint="there is one for each host; stop it first",
            ) from error
        except OSError as error:
            os.close(self._lock)
            raise EnforcerError(f"cannot serve at `{path}`: {error.strerror}") from error

    def close(self) -> None:
        """Take the socket away, then let another enforcer in."""
        self.listening.close()
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            log.debug("somebody has removed the socket")
        os.close(self._lock)


def _bound(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # What a former enforcer left; the lock says that it is gone.
        if os.path.lexists(path):
            os.unlink(path)
        # Accepted sockets inherit it, so even a caller's first bytes come with its credentials.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        listening.bind(path)
        os.chmod(path, SOCKET_MODE)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _check_directory(directory: str) -> None:
    """Who can write there could put a socket of his own in the place of ours."""
    found = os.stat(directory)
    if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(errno.EPERM, f"`{directory}` is not root's alone")
