"""One client: reads its calls, has them answered one after the other, and never waits for it.

What a client can cost is bounded, and nobody else pays:
- One call at a time. While replies wait for the client to read, its further calls are not even received.
- Unfinished messages, replies that wait, and received descriptors are counted against a share of its user.
- A reply with descriptors is never queued. If the kernel does not take it at once, the *call* waits and is
  carried out anew when there is room. So Take removes entries exactly when the kernel has accepted the reply
  into the client's queue: never before, and never without. From then on the descriptors are the client's; if
  it ends without reading them, they are gone.
- What breaks the protocol is told once, and then the connection ends.
"""

import logging
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fdstorefs.errors import InvalidArgument, Overloaded, StoreError
from fdstorefs.server.loop import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT
from fdstorefs.server.shares import Share
from fdstorefs.server.user_turns import Scheduler
from fdstorefs.server.varlink.activity import Activity, Exchange
from fdstorefs.server.varlink.ancillary import SPACE, unpack
from fdstorefs.server.varlink.call import CONSUMED, Malformed
from fdstorefs.server.varlink.framing import Framing, Message
from fdstorefs.server.varlink.landing import Landing
from fdstorefs.server.varlink.outbox import Outbox
from fdstorefs.server.varlink.reply import Landed, Reply
from fdstorefs.server.varlink.sender import Sender

RECEIVE_BYTES = 1 << 14
# Plain numbers: arithmetic with the flags of the socket module takes a microsecond.
RECEIVE_FLAGS = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
DESCRIPTORS_LOST = int(socket.MSG_CTRUNC)
CALLS_AT_ONCE = 4

log = logging.getLogger(__name__)


class Clerk(Protocol):
    """Who carries out calls, and takes what came with them and no call wanted."""

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer.

        What it raises ends the connection: Malformed, Overloaded.
        """

    def failure(self, error: StoreError) -> Reply:
        """The error reply that stands for an exception, in the words of what is served here."""

    def discard(self, descriptor: int, sender: Sender) -> None:
        """Close a descriptor that a client sent, without waiting."""

    def waits(self, descriptor: int) -> None:
        """A descriptor that a client sent is here, and no call may take it for as long as the client likes."""


class Desk(Clerk, Protocol):
    """What a connection needs of the server around it."""

    def forget(self, connection: "Connection") -> None:
        """The connection is closed."""


@dataclass(slots=True)
class Account:
    """What the connection uses of its user's shares: received descriptors, and bytes kept."""

    descriptors: Share
    memory: Share


class Connection:
    """The server's end of one connection."""

    def __init__(
        self,
        connected: socket.socket,
        desk: Desk,
        turns: Scheduler,
        sender: Sender,
        outbox: Outbox,
        account: Account,
    ) -> None:
        self.sender = sender
        self.outbox = outbox
        self._socket = connected
        self._recvmsg = connected.recvmsg
        self._desk = desk
        self._turns = turns
        self._account = account
        self._framing = Framing()
        self._inbox: deque[Message] = deque()
        self._just_came: list[int] = []
        self._exchange: Exchange | None = None
        self._room_wanted = 0
        self._resuming = False
        self._ending = False
        self._last_words: StoreError | None = None
        self._landings: list[Landing] = []
        self._closed = False
        self._events: int = EPOLLIN
        turns.register(connected.fileno(), self._on_events)

    def close(self) -> None:
        """End it now. Harmless when it is closed."""
        if self._closed:
            return
        self._closed = self._ending = True
        for landing in self._landings:
            landing.close()
        self._turns.unregister(self._socket.fileno())
        self._socket.close()
        if self._exchange is not None:
            self._exchange.stop()
        self._empty_inbox()
        self.sender.close()
        self.outbox.flight.over()
        self._account.memory.set(0)
        self._desk.forget(self)

    # Events

    def _on_events(self, events: int) -> None:
        try:
            self._react(events)
        except Exception as error:  # noqa: BLE001  told apart in `_failed`
            self._failed(error)

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001  told apart in `_failed`
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        # What a call raised became its reply, so an OSError that comes this far is the socket's.
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            log.debug("a client of uid %d is gone: %s", self.sender.uid, error)
        else:
            log.error("a connection of uid %d failed and is closed", self.sender.uid, exc_info=error)
        self.close()

    def _react(self, events: int) -> None:
        if events & self._events & EPOLLIN:
            self._receive()
        elif events & (EPOLLHUP | EPOLLERR):
            # Nobody is there to be answered. Calls that want no answer and are here already are still served.
            if not self._resuming:
                self.close()
        elif events & EPOLLOUT:
            self._on_room()

    def _receive(self) -> None:
        try:
            piece, ancillary, flags, _ = self._recvmsg(RECEIVE_BYTES, SPACE, RECEIVE_FLAGS)
        except BlockingIOError:
            return
        if not piece:
            self._ending = True
        else:
            credentials, descriptors = unpack(ancillary)
            if descriptors:
                self._hold(len(descriptors))
                self._just_came = descriptors.copy()
            lost = flags & DESCRIPTORS_LOST != 0
            self._inbox += self._framing.feed(piece, credentials, descriptors, lost)
        self._advance()

    def _on_room(self) -> None:
        outbox = self.outbox
        if outbox.backlog:
            outbox.flush()
            if not outbox.backlog and self._exchange is not None:
                self._exchange.drained()
        elif self._room_wanted & EPOLLET and not outbox.flight.landed():
            return
        self._room_wanted = 0
        self._advance()

    # Serving

    def _advance(self) -> None:
        """Serve what can be served, then see what to wait for."""
        if self._inbox and not self._is_busy:
            self._serve()
        if (
            self._events != EPOLLIN
            or self._inbox
            or self._is_busy
            or self._ending
            or not self._framing.is_at_rest
            or self._account.memory.amount
        ):
            self._settle()

    def _settle(self) -> None:
        """All that is not needed after a call that was answered at once and left nothing behind."""
        if self._closed:
            return
        if self._framing.violation is not None:
            self._end_with(InvalidArgument(self._framing.violation))
        else:
            self._check_share()
        if self._ending and not self._inbox and not self._is_busy:
            self._finish()
        if self._just_came and not self._resuming:
            self._tell_of_waiting()
        self._await()

    @property
    def _is_busy(self) -> bool:
        return self._exchange is not None or self.outbox.backlog > 0 or self._room_wanted != 0

    def _serve(self) -> None:
        inbox = self._inbox
        for _ in range(CALLS_AT_ONCE):
            self._serve_one(inbox.popleft())
            if not inbox or self._is_busy:
                return
        self._resume_later()

    def _tell_of_waiting(self) -> None:
        # Nothing more is received before what came is served or told of, so each is told of once.
        came, self._just_came = self._just_came, []
        here = {
            *self._framing.pending_descriptors,
            *(each for one in self._inbox for each in one.descriptors),
        }
        for descriptor in came:
            if descriptor in here:
                self._desk.waits(descriptor)

    def _resume_later(self) -> None:
        # Others first: a client that pipelines its calls has no advantage over them.
        if not self._resuming:
            self._resuming = True
            self._turns.call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = False
        if not self._closed:
            self._guarded(self._advance)

    def _serve_one(self, message: Message) -> None:
        try:
            answer = self._desk.answer(message, self.sender)
        except Malformed as error:
            self._empty_inbox()
            self._end_with(InvalidArgument(f"the message is no call: {error}"))
            return
        except Overloaded as error:
            self._empty_inbox()
            self._end_with(error)
            return
        finally:
            if message.descriptors:
                self._let_go(message.descriptors)
        if isinstance(answer, Reply):
            self._deliver(answer, message)
        elif answer is not None:
            self._exchange = Exchange(self, self._turns, answer)
            self._exchange.start()

    def _deliver(self, reply: Reply, message: Message) -> None:
        if not reply.descriptors:
            self.outbox.send(reply.data)
            return
        try:
            taken = self._send_with_descriptors(reply.data, reply.descriptors)
        except StoreError as error:
            self.outbox.send(self.failure(error).data)
            return
        if not taken:
            self._inbox.appendleft(message)
        elif reply.sent is not None:
            self._await_landing(reply.sent())

    def _await_landing(self, landed: Landed | None) -> None:
        if landed is not None:
            self._landings = [each for each in self._landings if not each.is_over]
            self._landings.append(Landing(self._turns, self.outbox.flight, landed))

    def _send_with_descriptors(self, data: bytes, descriptors: list[int]) -> bool:
        if not self.outbox.flight.admits(len(descriptors)):
            # Not for room, of which there may be plenty, but for the client to have read everything.
            self._room_wanted = EPOLLOUT | EPOLLET
            return False
        if not self.outbox.send_with_descriptors(data, descriptors):
            self._room_wanted = EPOLLOUT
            return False
        return True

    # For an exchange

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client to read."""
        return self.outbox.backlog

    def failure(self, error: StoreError) -> Reply:
        """The error reply that stands for an exception."""
        return self._desk.failure(error)

    def send(self, data: bytes) -> None:
        """Send for an activity, and wait for room if need be. Closes the connection if the client is gone."""
        self._guarded(lambda: self._send(data))

    def _send(self, data: bytes) -> None:
        if self._closed:
            return
        self.outbox.send(data)
        if self.outbox.backlog:
            self._check_share()
            self._await()

    def call_is_over(self) -> None:
        """The activity has given its last reply; go on with what the client asked meanwhile."""
        self._exchange = None
        self._resume_later()

    # Limits

    def _hold(self, count: int) -> None:
        descriptors = self._account.descriptors
        descriptors.set(descriptors.amount + count)

    def _let_go(self, descriptors: list[int]) -> None:
        self._hold(-len(descriptors))
        for descriptor in descriptors:
            if descriptor != CONSUMED:
                self._desk.discard(descriptor, self.sender)
        descriptors.clear()

    def _check_share(self) -> None:
        """End the connection when what is kept for it is more than its user may have kept."""
        account, backlog = self._account, self.outbox.backlog
        if account.memory.set(self._framing.pending_bytes + backlog) and account.descriptors.fits(0):
            return
        if backlog:
            # It would wait for ever to be told.
            log.info("a client of uid %d does not read its replies and is disconnected", self.sender.uid)
            self.close()
            return
        self._empty_inbox()
        self._end_with(Overloaded(f"too much is under way from uid {self.sender.uid}"))

    def _empty_inbox(self) -> None:
        self._let_go(self._framing.abandon())
        while self._inbox:
            self._let_go(self._inbox.popleft().descriptors)

    # The end

    def _end_with(self, error: StoreError) -> None:
        if not self._ending:
            self._ending = True
            self._last_words = error

    def _finish(self) -> None:
        error, self._last_words = self._last_words, None
        if error is not None:
            self.outbox.send(self.failure(error).data)
        if not self.outbox.backlog:
            self.close()

    def _await(self) -> None:
        """Have the loop report what the state asks for, and no more."""
        if self._closed:
            return
        events: int = EPOLLIN
        if self._room_wanted or self.outbox.backlog:
            events = self._room_wanted or EPOLLOUT
        elif self._exchange is not None or self._inbox or self._ending:
            events = 0
        if events != self._events:
            self._events = events
            self._turns.modify(self._socket.fileno(), events)
