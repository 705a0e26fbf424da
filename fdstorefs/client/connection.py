"""A connection that several threads may use, that survives a fork and a restart of the instance."""

from collections.abc import Callable
from threading import Lock

from fdstorefs.client.address import open_socket
from fdstorefs.client.calls import Call, Result
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.forked import abandon_in_children
from fdstorefs.client.reply import gone, outcome_unknown, raise_last_words, result_of
from fdstorefs.errors import ProtocolError, StoreError


def exchange(channel: Channel, call: Call[Result]) -> Result:
    """Send a call and read the one reply to it."""
    try:
        channel.send_all(call.message, call.descriptors)
    except Disconnected as lost:
        raise_last_words(call, channel)
        raise lost from None
    return result_of(call, channel)


class Connection:
    """One call at a time to one instance.

    When the instance has restarted, a call is sent once more on a new connection, if none of it was sent
    before or if sending it twice does no more than sending it once.
    """

    def __init__(self, mount: str) -> None:
        self.mount = mount
        self._lock = Lock()
        self._is_closed = False
        self._channel: Channel | None = Channel(open_socket(mount))
        abandon_in_children(self)

    def call(self, call: Call[Result], talk: Callable[[Channel, Call[Result]], Result] = exchange) -> Result:
        """Make a call and return its result. Raises StoreError, or OSError (EMFILE) if out of descriptors."""
        attempts = 0
        with self._lock:
            while True:
                try:
                    return self._attempt(call, talk)
                except Disconnected as lost:
                    if lost.sent and not call.repeatable:
                        raise outcome_unknown(call, self.mount) from None
                    attempts += 1
                    if attempts == 2:
                        raise gone(self.mount) from None

    def _attempt(self, call: Call[Result], talk: Callable[[Channel, Call[Result]], Result]) -> Result:
        channel = self._channel or self._open()
        try:
            return talk(channel, call)
        except BaseException as error:
            # Unless this is the reply, it is still to come, and would be taken for that to the next call.
            if isinstance(error, ProtocolError) or not isinstance(error, StoreError):
                self._drop()
            raise

    def _open(self) -> Channel:
        if self._is_closed:
            raise ValueError(f"the connection to the instance at `{self.mount}` is closed")
        self._channel = Channel(open_socket(self.mount))
        return self._channel

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """End the connection; calls raise ValueError from now on."""
        with self._lock:
            self._is_closed = True
            self._drop()

    def abandon(self) -> None:
        """In a forked child: leave the parent's connection and the lock that one of its threads may hold."""
        self._lock = Lock()
        self._drop()
