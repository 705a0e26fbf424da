"""The same client for asyncio: `store = await fdstorefs.aio.connect()`, then every method with `await`.

A connection belongs to the event loop it is used in, and not to forked children.
"""

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from fdstorefs.client import calls
from fdstorefs.client.address import default_mount
from fdstorefs.client.aio_connection import Connection, receive, send_all
from fdstorefs.client.aio_watch import Watch
from fdstorefs.client.calls import Call, Stashable
from fdstorefs.client.channel import Channel
from fdstorefs.client.records import Description, Entry, Status, Upgraded
from fdstorefs.client.reply import part_of
from fdstorefs.client.retrieved import Retrieved

Entries = list[Entry]
Names = list[str]


async def connect(mount: str | os.PathLike[str] | None = None) -> "Store":
    """Connect to the instance at `mount`, by default the one that `fdstorefs.connect` finds.

    Raises NoInstance, or Denied if it is closed to this user.
    """
    return Store(default_mount() if mount is None else os.fspath(mount))


async def _gather(channel: Channel, call: Call[Entries]) -> Entries:
    await send_all(channel, call.message)
    entries: Entries = []
    continues = True
    while continues:
        part, continues = await receive(channel, lambda: part_of(call, channel))
        entries += part
    return entries


class Store:
    """A connection to one instance, for asyncio; an asynchronous context manager.

    Tasks may share it: one call is made at a time. A call that is cancelled may have been carried out. The
    methods are those of `fdstorefs.Store`; only `dump` and `restore` are not here: give them to a thread.
    """

    def __init__(self, mount: str) -> None:
        self.mount = os.path.abspath(mount)
        self._connection = Connection(self.mount)

    async def stash(
        self,
        name: str,
        file: Stashable,
        *,
        replace: bool = False,
        mode: int | None = None,
        label: str | None = None,
        expires: float | None = None,
        poll: bool | None = None,
    ) -> int:
        """Stash an open descriptor, and return the entry's id."""
        return (
            await self.stash_many(
                {name: file}, replace=replace, mode=mode, label=label, expires=expires, poll=poll
            )
        )[name]

    async def stash_many(
        self,
        files: Mapping[str, Stashable],
        *,
        replace: bool = False,
        mode: int | None = None,
        label: str | None = None,
        expires: float | None = None,
        poll: bool | None = None,
    ) -> dict[str, int]:
        """Stash up to 253 descriptors, all or none, and return the id of each."""
        return await self._connection.call(
            calls.stash(files, replace=replace, mode=mode, label=label, expires=expires, poll=poll)
        )

    async def retrieve(self, name: str) -> Retrieved:
        """A copy of the stored descriptor."""
        return await self._connection.call(calls.retrieve(name))

    async def retrieve_many(self, names: Sequence[str]) -> dict[str, Retrieved]:
        """Copies of several descriptors, all or none; more than 253 in lots of so many."""
        found: dict[str, Retrieved] = {}
        try:
            for lot in calls.chunks(names):
                part = await self._connection.call(calls.retrieve_many(lot))
                found.update(part)
        except BaseException:
            for retrieved in found.values():
                retrieved.close()
            raise
        return found

    async def take(self, name: str) -> Retrieved:
        """Retrieve and discard."""
        return await self._connection.call(calls.take(name))

    async def take_many(self, names: Sequence[str]) -> dict[str, Retrieved]:
        """Retrieve and discard up to 253 entries, all or none."""
        return await self._connection.call(calls.take_many(names))

    async def discard(self, *names: str) -> None:
        """Take names away, all or none."""
        await self._connection.call(calls.discard(names))

    async def list(self, pattern: str | None = None, *, details: bool = True) -> Entries:
        """All entries that match, sorted by name."""
        return await self._connection.call(calls.list_(pattern, details), _gather)

    async def describe(self, name: str) -> Description:
        """All about one entry or box."""
        return await self._connection.call(calls.describe(name))

    async def discard_unchanged(self, entries: Sequence[tuple[str, int, int | None]]) -> Names:
        """Take names away that still stand for the entry and the open file with these numbers; return the others."""
        changed: Names = []
        for start in range(0, len(entries), calls.MOST_IDENTIFIED):
            lot = entries[start : start + calls.MOST_IDENTIFIED]
            others: Names = await self._connection.call(calls.discard_unchanged(lot))
            changed += others
        return changed

    async def rename(self, source: str, goal: str, *, replace: bool = False) -> None:
        """Rename an entry or a box."""
        await self._connection.call(calls.rename(source, goal, replace=replace))

    async def link(self, source: str, goal: str) -> None:
        """Give an entry a second name."""
        await self._connection.call(calls.link(source, goal))

    async def make_box(self, name: str, mode: int | None = None) -> int:
        """Make a box and return its id."""
        return await self._connection.call(calls.make_box(name, mode))

    async def remove_box(self, name: str) -> None:
        """Remove an empty box."""
        await self._connection.call(calls.remove_box(name))

    async def seal(self, name: str) -> None:
        """Seal a box."""
        await self._connection.call(calls.seal(name))

    async def unseal(self, name: str) -> None:
        """Undo `seal`."""
        await self._connection.call(calls.unseal(name))

    async def watch(self, pattern: str | None = None) -> Watch:
        """Watch the names that match `pattern`. No change after this returns is missed."""
        return await Watch(self.mount, pattern).begin()

    async def status(self) -> Status:
        """What the instance is and what is in force."""
        return await self._connection.call(calls.status())

    async def upgrade(self) -> Upgraded:
        """Have the program that is installed now take over, with everything; only for who runs the instance."""
        return await self._connection.call(calls.upgrade())

    async def close(self) -> None:
        """End the connection. Retrieved descriptors stay open."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<asynchronous store at {self.mount!r}>"
