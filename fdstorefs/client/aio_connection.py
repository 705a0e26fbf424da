"""A connection that the tasks of an event loop may share, and that survives a restart of the instance."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fdstorefs.client.address import open_socket
from fdstorefs.client.calls import Call, Result
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.reply import gone, outcome_unknown, raise_last_words, result_of
from fdstorefs.errors import ProtocolError, StoreError

Outcome = TypeVar("Outcome")
Talk = Callable[[Channel, Call[Result]], Awaitable[Result]]


def open_channel(mount: str) -> Channel:
    """A connection that never blocks. Raises NoInstance or Denied."""
    connected = open_socket(mount)
    connected.setblocking(False)
    return Channel(connected)


async def send_all(channel: Channel, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a whole message. Raises Disconnected."""
    sent = 0
    while sent < len(message):
        try:
            sent += channel.send(message[sent:], () if sent else descriptors)
        except BlockingIOError:
            await _ready(channel, to_send=True)
        except Disconnected:
            raise Disconnected(sent=sent > 0) from None


async def receive(channel: Channel, read: Callable[[], Outcome]) -> Outcome:
    """Call `read` until it has all it needs from the channel."""
    while True:
        try:
            return read()
        except BlockingIOError:
            await _ready(channel, to_send=False)


async def _ready(channel: Channel, *, to_send: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    descriptor = channel.fileno()
    add, remove = (loop.add_writer, loop.remove_writer) if to_send else (loop.add_reader, loop.remove_reader)
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)


async def exchange(channel: Channel, call: Call[Result]) -> Result:
    """Send a call and read the one reply to it."""
    try:
        await send_all(channel, call.message, call.descriptors)
    except Disconnected as lost:
        # The other end is closed: what it said is here, and nothing has to be waited for.
        raise_last_words(call, channel)
        raise lost from None
    return await receive(channel, lambda: result_of(call, channel))


class Connection:
    """What `fdstorefs.client.connection.Connection` is, for asyncio."""

    def __init__(self, mount: str) -> None:
        self.mount = mount
        self._lock = asyncio.Lock()
        self._is_closed = False
        self._channel: Channel | None = open_channel(mount)

    async def call(self, call: Call[Result], talk: "Talk[Result]" = exchange) -> Result:
        """Make a call and return its result. Raises StoreError, or OSError (EMFILE) if out of descriptors."""
        attempts = 0
        async with self._lock:
            while True:
                try:
                    return await self._attempt(call, talk)
                except Disconnected as lost:
                    if lost.sent and not call.repeatable:
                        raise outcome_unknown(call, self.mount) from None
                    attempts += 1
                    if attempts == 2:
                        raise gone(self.mount) from None

    async def _attempt(self, call: Call[Result], talk: "Talk[Result]") -> Result:
        channel = self._channel or self._open()
        try:
            return await talk(channel, call)
        except BaseException as error:
            # Unless this is the reply, it is still to come: after a cancellation, say.
            if isinstance(error, ProtocolError) or not isinstance(error, StoreError):
                self._drop()
            raise

    def _open(self) -> Channel:
        if self._is_closed:
            raise ValueError(f"the connection to the instance at `{self.mount}` is closed")
        self._channel = open_channel(self.mount)
        return self._channel

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    async def close(self) -> None:
        """End the connection, after the calls under way; further ones raise ValueError."""
        async with self._lock:
            self._is_closed = True
            self._drop()
