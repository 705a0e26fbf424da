"""A restoration: what comes from a dump, put into a store all at once, when all of it has come."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from fdstorefs.client import calls
from fdstorefs.client.address import open_socket
from fdstorefs.client.calls import Call
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.closing import Closing
from fdstorefs.client.connection import Connection
from fdstorefs.client.dump import Lot, Node
from fdstorefs.client.forked import abandon_in_children
from fdstorefs.client.reply import raise_last_words, result_of
from fdstorefs.errors import NoInstance, NoSuchEntry, Overloaded, ProtocolError, StoreError

BACK_SECONDS = 10.0
"""How long a server is awaited that ended in the moment in which it had to store everything."""

AGAIN_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
"""How long to wait for others to receive what is under way to them."""

_WITNESSES = 8


class Restored(NamedTuple):
    """How much was restored. `files` are different open files; of `boxes` some may have been there."""

    entries: int
    boxes: int
    files: int


class Restoration(Closing):
    """Takes lots, and stores nothing of them until `commit`; has a connection of its own. A context manager.

    `close` before that, or the end of this process, leaves the store as it was. For one thread, and not for a forked
    child.
    """

    def __init__(self, mount: str, *, into: str | None = None, replace: bool = False) -> None:
        self.mount = mount
        self._into, self._replace, self._is_first = into, replace, True
        self._entries = self._boxes = self._files = 0
        self._witnesses: list[tuple[str, int]] = []
        self._channel: Channel | None = Channel(open_socket(mount))
        abandon_in_children(self)

    def add(self, lot: Lot) -> None:
        """Send some more; the lot stays the caller's. Raises StoreError: then nothing is restored, nor can be."""
        ids = self._send(lot.nodes, lot.descriptors)
        for node, number in zip(lot.nodes, ids, strict=False):
            self._count(node, number)

    def _count(self, node: Node, number: int) -> None:
        if node.get("kind") == "box":
            self._boxes += 1
            return
        self._entries += 1
        self._files += node.get("fileDescriptor") is not None
        if len(self._witnesses) < _WITNESSES:
            name = node["names"][0].strip("/")
            self._witnesses.append((f"{self._into.strip('/')}/{name}" if self._into else name, number))

    def commit(self) -> Restored:
        """Store all of it, or nothing. Raises StoreError: then nothing is stored.

        ProtocolError if that could not be found out: the server ended, and none came back.
        """
        try:
            self._send([], (), last=True)
        except _Lost:
            if not self._is_stored():
                raise self._nothing() from None
        finally:
            self.close()
        return Restored(self._entries, self._boxes, self._files)

    def _send(self, nodes: Sequence[Node], descriptors: Sequence[int], *, last: bool = False) -> list[int]:
        first, self._is_first = self._is_first, False
        into, replace = (self._into, self._replace) if first else (None, False)
        call = calls.restore(nodes, descriptors, first=first, into=into, replace=replace, last=last)
        try:
            return _exchange(self._open_channel(), call)
        except Disconnected:
            self.close()
            raise (_Lost() if last else self._nothing()) from None
        except BaseException:
            self.close()
            raise

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise ValueError("the restoration is over")
        return self._channel

    def _nothing(self) -> NoInstance:
        return NoInstance(
            f"the instance at `{self.mount}` went away in the middle of a restore, and has restored nothing",
            hint="try again",
        )

    # What a server did that ended in the last moment

    def _is_stored(self) -> bool:
        """Ask the next server: all is there or nothing is, so any entry tells."""
        until = time.monotonic() + BACK_SECONDS
        while True:
            try:
                return self._witnessed()
            except (NoInstance, ProtocolError):
                if time.monotonic() > until:
                    raise self._unknown() from None
                time.sleep(AGAIN_SECONDS)

    def _witnessed(self) -> bool:
        if not self._witnesses:
            raise self._unknown()
        connection = Connection(self.mount)
        try:
            return any(_is_there(connection, name, number) for name, number in self._witnesses)
        finally:
            connection.close()

    def _unknown(self) -> ProtocolError:
        return ProtocolError(
            f"the instance at `{self.mount}` ended when it had everything: whether it is restored is unknown",
            hint="list the entries, and look, before you try again",
        )

    def close(self) -> None:
        """End it; what was not committed is gone."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def abandon(self) -> None:
        """In a forked child: leave it to the parent."""
        self.close()


class _Lost(Exception):
    """The server went away after it was told to store everything."""


def _exchange(channel: Channel, call: Call[list[int]]) -> list[int]:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            channel.send_all(call.message, call.descriptors)
            break
        except Disconnected:
            raise_last_words(call, channel)
            raise
        except Overloaded:
            # Nobody tells when others of this user have received what is under way to them.
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_SECONDS)
    return result_of(call, channel)


def _is_there(connection: Connection, name: str, number: int) -> bool:
    try:
        return connection.call(calls.describe(name)).entry.id == number
    except (NoInstance, ProtocolError):
        raise
    except NoSuchEntry:
        return False
    except StoreError:
        return False
