"""One client: reads its calls, has them answered one after the other, and never waits for it.

What a client can cost is bounded, and nobody else pays:
- One call at a time. While replies wait for the client to read, its further calls are not even received.
- Messages that are not whole, calls that wait or go on, replies that wait, and received descriptors are counted against
  a share of its user.
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

from fdstorefs.errors import Busy, InvalidArgument, Overloaded, StoreError
from fdstorefs.server.loop import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT
from fdstorefs.server.passed import Told
from fdstorefs.server.shares import Share
from fdstorefs.server.user_turns import Scheduler
from fdstorefs.server.varlink.activity import Exchange, Lasting
from fdstorefs.server.varlink.ancillary import SPACE, unpack
from fdstorefs.server.varlink.call import CONSUMED, Malformed
from fdstorefs.server.varlink.clerk import Clerk
from fdstorefs.server.varlink.framing import Framing, Message
from fdstorefs.server.varlink.landing import Landing
from fdstorefs.server.varlink.outbox import Outbox
from fdstorefs.server.varlink.reply import Landed, Reply
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.state import State

RECEIVE_BYTES = 1 << 14
# Plain numbers: arithmetic with the flags of the socket module takes a microsecond.
RECEIVE_FLAGS = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
DESCRIPTORS_LOST = int(socket.MSG_CTRUNC)
CALLS_AT_ONCE = 4

log = logging.getLogger(__name__)


class Desk(Clerk, Protocol):
    """What a connection needs of the server around it."""

    def forget(self, connection: "Connection") -> None:
        """The connection is closed."""

    def stilled(self) -> None:
        """A call has ended on a connection that is frozen."""


@dataclass(slots=True)
class Account:
    """What the connection uses of its user's shares: received descriptors, and bytes kept."""

    descriptors: Share
    memory: Share


class Connection:
    """The server's end of one connection, from `begin` on."""

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
        self._call: Message | None = None
        self._told: Told = {}
        self._is_frozen = False
        self._room_wanted = 0
        self._resuming = False
        self._ending = False
        self._last_words: bytes | None = None
        self._landings: list[Landing] = []
        self._closed = False
        self._events: int = EPOLLIN

    def begin(self) -> None:
        """Serve, and first what another server has not finished."""
        self._turns.register(self._socket.fileno(), self._on_events, self._events)
        if self._call is not None:
            self._guarded(self._resume_call)
        for landing in self._landings:
            landing.go_on()
        if self._inbox:
            self._resume_later()
        self._guarded(self._settle)

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
        elif self._room_wanted & EPOLLET and not outbox.flight.landed():
            return
        self._room_wanted = 0
        if not outbox.backlog and self._exchange is not None:
            self._exchange.drained()
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
        if not self._closed and not self._is_frozen:
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
            self._exchange, self._call = Exchange(self, self._turns, answer), message
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

    def offer(self, reply: Reply) -> bool:
        """Send a reply with descriptors for an activity, or do nothing: then the activity is told when there is room.

        Raises Overloaded where it is others who have too much under way.
        """
        if self._closed or self.outbox.backlog:
            return False
        try:
            taken = self._send_with_descriptors(reply.data, reply.descriptors or [])
        except StoreError:
            raise
        except OSError as error:
            self._failed(error)
            return False
        if not taken or self.outbox.backlog:
            self._check_share()
            self._await()
        return taken

    def call_is_over(self) -> None:
        """The activity has given its last reply; go on with what the client asked meanwhile."""
        self._exchange = self._call = None
        self._resume_later()
        if self._is_frozen:
            self._desk.stilled()

    # Another server is to go on

    @property
    def descriptor(self) -> int:
        """The socket's."""
        return self._socket.fileno()

    @property
    def is_still(self) -> bool:
        """Whether nothing goes on that another server could not go on with."""
        return self._exchange is None or isinstance(self._exchange.activity, Lasting)

    @property
    def is_idle(self) -> bool:
        """Whether no call is under way."""
        return self._exchange is None

    def freeze(self) -> None:
        """Receive and serve nothing more; a call that only this server can answer goes on."""
        self._is_frozen = True
        self._turns.unregister(self._socket.fileno())
        if self._exchange is not None and self.is_still:
            self._exchange.freeze()
        self._tell_of_waiting()

    def end_call(self) -> None:
        """Have a call fail that another server could not go on with."""
        if self._exchange is not None and not self.is_still:
            self._exchange.fail(Busy("another server takes over, and this call cannot", hint="try again"))

    def thaw(self) -> None:
        """Go on."""
        self._is_frozen = False
        self._turns.register(self._socket.fileno(), self._on_events, self._events)
        for landing in self._landings:
            landing.pause()
            landing.go_on()
        if self._exchange is not None:
            self._exchange.thaw()
        if self._inbox:
            self._resume_later()

    def state(self) -> State:
        """How it is left. From now on it does nothing by itself."""
        activity = self._exchange.activity if self._exchange is not None else None
        for landing in self._landings:
            landing.pause()
        return State(
            half=self._framing.half,
            violation=self._framing.violation,
            inbox=list(self._inbox),
            ending=self._ending,
            last_words=self._last_words,
            queued=self.outbox.queued,
            in_flight=self.outbox.flight.count,
            landings=[landing.landed for landing in self._landings if landing.landed is not None],
            call=self._call,
            told=activity.told() if isinstance(activity, Lasting) else {},
        )

    def go_on_with(self, state: State) -> None:
        """Begin as another server has left it."""
        self._framing.go_on_with(state.half, state.violation)
        self._inbox.extend(state.inbox)
        self._ending, self._last_words = state.ending, state.last_words
        self.outbox.go_on_with(state.queued)
        self.outbox.flight.go_on_with(state.in_flight)
        self._landings = [Landing(self._turns, self.outbox.flight, one) for one in state.landings]
        for landing in self._landings:
            landing.pause()
        self._call, self._told = state.call, state.told
        self._hold(sum(len(message.descriptors) for message in (state.half, *state.inbox)))

    def _resume_call(self) -> None:
        """Have the call made anew that another server was answering, and go on where that was."""
        call, self._call = self._call, None
        assert call is not None
        answer = self._desk.answer(call, self.sender)
        if isinstance(answer, Reply):
            self._deliver(answer, call)
        elif answer is not None:
            self._exchange, self._call = Exchange(self, self._turns, answer), call
            self._exchange.resume(self._told)

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
        kept = self._framing.pending_bytes + self._bytes_of_calls + backlog
        if account.memory.set(kept) and account.descriptors.fits(0):
            return
        if backlog:
            # It would wait for ever to be told.
            log.info("a client of uid %d does not read its replies and is disconnected", self.sender.uid)
            self.close()
            return
        self._empty_inbox()
        error = Overloaded(f"too much is under way from uid {self.sender.uid}")
        if self._exchange is None:
            self._end_with(error)
        elif not self._ending:
            self._ending = True
            self._exchange.fail(error)

    @property
    def _bytes_of_calls(self) -> int:
        """Of those that wait, and of the one that goes on, which another server would have to be told."""
        going_on = len(self._call.data) if self._call is not None else 0
        return going_on + sum(len(message.data) for message in self._inbox)

    def _empty_inbox(self) -> None:
        self._let_go(self._framing.abandon())
        while self._inbox:
            self._let_go(self._inbox.popleft().descriptors)

    # The end

    def _end_with(self, error: StoreError) -> None:
        if not self._ending:
            self._ending = True
            self._last_words = self.failure(error).data

    def _finish(self) -> None:
        words, self._last_words = self._last_words, None
        if words is not None:
            self.outbox.send(words)
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
            if self._is_frozen:
                return
            self._turns.modify(self._socket.fileno(), events)
