"""A watch for asyncio."""

from types import TracebackType
from typing import Self

from fdstorefs.client import calls
from fdstorefs.client.aio_connection import open_channel, receive, send_all
from fdstorefs.client.channel import Disconnected
from fdstorefs.client.records import Change
from fdstorefs.client.reply import gone, part_of
from fdstorefs.errors import ProtocolError


class Watch:
    """Yields every change to a matching name; an asynchronous iterator and context manager.

    For one task. Raises Overloaded when it is read too slowly, NoInstance when the instance ends.
    """

    def __init__(self, mount: str, pattern: str | None) -> None:
        self._mount = mount
        self._call = calls.watch(pattern)
        self._channel = open_channel(mount)
        self._is_closed = False

    async def begin(self) -> Self:
        """Ask for the changes, and wait until the instance says that they are coming."""
        try:
            await send_all(self._channel, self._call.message)
            if (await self.wait()).change != "ready":
                raise ProtocolError("the instance told a change before it was ready to")
        except Disconnected:
            self.close()
            raise gone(self._mount) from None
        except BaseException:
            self.close()
            raise
        return self

    async def wait(self) -> Change:
        """The next change. May be cancelled: nothing is lost then."""
        try:
            change, continues = await receive(self._channel, lambda: part_of(self._call, self._channel))
        except Disconnected:
            self.close()
            raise gone(self._mount) from None
        if not continues:
            raise ProtocolError("the instance ended the watch")
        return change

    def close(self) -> None:
        """End the watch."""
        self._is_closed = True
        self._channel.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        if self._is_closed:
            raise StopAsyncIteration
        return await self.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
