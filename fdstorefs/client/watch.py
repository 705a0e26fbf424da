"""A watch: the changes to names, as they happen."""

import select
import time
from typing import Self

from fdstorefs.client import calls
from fdstorefs.client.address import open_socket
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.closing import Closing
from fdstorefs.client.forked import abandon_in_children
from fdstorefs.client.records import Change
from fdstorefs.client.reply import gone, part_of
from fdstorefs.errors import ProtocolError


class Watch(Closing):
    """Yields every change to a matching name from the moment it is made; has a connection of its own.

    For one thread, and not for a forked child. To wait for other things too: select on `fileno`, then call
    `wait(0)` until it returns None. Raises Overloaded when it is read too slowly; list again then.
    """

    def __init__(self, mount: str, pattern: str | None = None) -> None:
        self._mount = mount
        self._call = calls.watch(pattern)
        connected = open_socket(mount)
        self._channel: Channel | None = Channel(connected)
        abandon_in_children(self)
        try:
            self._channel.send_all(self._call.message)
            self._await_ready()
            connected.setblocking(False)
        except Disconnected:
            self.close()
            raise gone(mount) from None
        except BaseException:
            self.close()
            raise

    def _await_ready(self) -> None:
        if self._next().change != "ready":
            raise ProtocolError("the instance told a change before it was ready to")

    def fileno(self) -> int:
        """The descriptor that becomes readable when there is something to `wait` for."""
        return self._open_channel().fileno()

    def wait(self, timeout: float | None = None) -> Change | None:
        """The next change; None when none has come within `timeout` seconds. Raises NoInstance at the end."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._next()
            except BlockingIOError:
                if not self._is_readable(deadline):
                    return None
            except Disconnected:
                self.close()
                raise gone(self._mount) from None

    def _next(self) -> Change:
        change, continues = part_of(self._call, self._open_channel())
        if not continues:
            raise ProtocolError("the instance ended the watch")
        return change

    def _is_readable(self, deadline: float | None) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        milliseconds = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(milliseconds))

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise ValueError("the watch is closed")
        return self._channel

    def close(self) -> None:
        """End the watch."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def abandon(self) -> None:
        """In a forked child: leave the changes to the parent."""
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        change = self.wait() if self._channel is not None else None
        if change is None:
            raise StopIteration
        return change
