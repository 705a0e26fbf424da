"""The store as a Python program sees it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fdstorefs.client import calls
from fdstorefs.client.address import default_mount
from fdstorefs.client.calls import Call, Stashable
from fdstorefs.client.channel import Channel
from fdstorefs.client.closing import Closing
from fdstorefs.client.connection import Connection
from fdstorefs.client.records import Description, Entry, Status, Upgraded
from fdstorefs.client.reply import part_of
from fdstorefs.client.retrieved import Retrieved
from fdstorefs.client.watch import Watch

if TYPE_CHECKING:
    from fdstorefs.client.dump import Dump, Lot
    from fdstorefs.client.restoration import Restored

Entries = list[Entry]
Names = list[str]
Progress = Callable[[int], None]


def connect(mount: str | os.PathLike[str] | None = None) -> "Store":
    """Connect to the instance at `mount`.

    By default that is $FDSTOREFS_MOUNT, or $XDG_RUNTIME_DIR/fdstore if it exists, or /run/fdstore. Raises
    NoInstance, or Denied if it is closed to this user.
    """
    return Store(default_mount() if mount is None else os.fspath(mount))


class Store(Closing):
    """A connection to one instance; a context manager.

    May be used by several threads, one call at a time, and by forked children, which connect anew. All
    methods raise StoreError. Names are paths below the mount.
    """

    def __init__(self, mount: str) -> None:
        self.mount = os.path.abspath(mount)
        self._connection = Connection(self.mount)

    def stash(
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
        """Stash an open descriptor, or what has a `fileno()`, and return the entry's id. It stays open here.

        An entry that is full is replaced only with `replace`. `mode` is for a new entry (0o600).
        In `expires` seconds it goes by itself. `poll` False: it stays when the other side of the open file hangs up.
        """
        return self.stash_many(
            {name: file}, replace=replace, mode=mode, label=label, expires=expires, poll=poll
        )[name]

    def stash_many(
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
        return self._connection.call(
            calls.stash(files, replace=replace, mode=mode, label=label, expires=expires, poll=poll)
        )

    def retrieve(self, name: str) -> Retrieved:
        """A copy of the stored descriptor: the very same open file."""
        return self._connection.call(calls.retrieve(name))

    def retrieve_many(self, names: Sequence[str]) -> dict[str, Retrieved]:
        """Copies of several descriptors, all or none.

        Up to 253 are retrieved at one moment; more in lots of so many, between which the store may change.
        """
        found: dict[str, Retrieved] = {}
        try:
            for lot in calls.chunks(names):
                part = self._connection.call(calls.retrieve_many(lot))
                found.update(part)
        except BaseException:
            for retrieved in found.values():
                retrieved.close()
            raise
        return found

    def take(self, name: str) -> Retrieved:
        """Retrieve and discard."""
        return self._connection.call(calls.take(name))

    def take_many(self, names: Sequence[str]) -> dict[str, Retrieved]:
        """Retrieve and discard up to 253 entries, all or none."""
        return self._connection.call(calls.take_many(names))

    def dump(self, pattern: str | None = None, *, leave_out: bool = False) -> "Dump":
        """Everything that matches, and what is in boxes that do, with its open files: for `restore` of another store.

        Raises Denied where the caller may list something and not retrieve it; with `leave_out` that is in `left_out` of
        what this returns.
        """
        from fdstorefs.client.dump import Dump

        return Dump(self.mount, pattern, leave_out=leave_out)

    def restore(
        self,
        lots: "Iterable[Lot]",
        *,
        into: str | None = None,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> "Restored":
        """Store all that a `dump` yields, in one operation, or nothing.

        `into`: in that box. With `replace` names are taken from entries that have them. `progress` is told how many
        boxes and entries have come so far.
        """
        from fdstorefs.client.restoration import Restoration

        count = 0
        with Restoration(self.mount, into=into, replace=replace) as restoration:
            for lot in lots:
                with lot:
                    restoration.add(lot)
                    count += len(lot.nodes)
                if progress is not None:
                    progress(count)
            return restoration.commit()

    def discard_unchanged(self, entries: Sequence[tuple[str, int, int | None]]) -> Names:
        """Take names away that still stand for the entry and the open file with these numbers; return the others.

        Each is the name, `id` and `file` of an entry as it was listed or dumped. A thousand go at a time.
        """
        changed: Names = []
        for start in range(0, len(entries), calls.MOST_IDENTIFIED):
            lot = entries[start : start + calls.MOST_IDENTIFIED]
            others: Names = self._connection.call(calls.discard_unchanged(lot))
            changed += others
        return changed

    def discard(self, *names: str) -> None:
        """Take names away, all or none; the last name of an open file closes it."""
        self._connection.call(calls.discard(names))

    def list(
        self, pattern: str | None = None, *, details: bool = True, progress: Progress | None = None
    ) -> Entries:
        """All entries that the caller may list and that match the glob `pattern`, sorted by name.

        `*`, `?` and `[...]` match within a component, `**` across. `progress` is told how many have come so
        far.
        """

        def gather(channel: Channel, call: Call[Entries]) -> Entries:
            channel.send_all(call.message)
            entries: Entries = []
            continues = True
            while continues:
                part, continues = part_of(call, channel)
                entries += part
                if progress is not None:
                    progress(len(entries))
            return entries

        return self._connection.call(calls.list_(pattern, details), gather)

    def describe(self, name: str) -> Description:
        """All about one entry or box."""
        return self._connection.call(calls.describe(name))

    def rename(self, source: str, goal: str, *, replace: bool = False) -> None:
        """Rename an entry or a box; what has the name `goal` already is replaced only with `replace`."""
        self._connection.call(calls.rename(source, goal, replace=replace))

    def link(self, source: str, goal: str) -> None:
        """Give an entry a second name."""
        self._connection.call(calls.link(source, goal))

    def make_box(self, name: str, mode: int | None = None) -> int:
        """Make a box and return its id; `mode` defaults to 0o700."""
        return self._connection.call(calls.make_box(name, mode))

    def remove_box(self, name: str) -> None:
        """Remove an empty box."""
        self._connection.call(calls.remove_box(name))

    def seal(self, name: str) -> None:
        """Seal a box: nothing in it can be stashed, retrieved, renamed or discarded."""
        self._connection.call(calls.seal(name))

    def unseal(self, name: str) -> None:
        """Undo `seal`."""
        self._connection.call(calls.unseal(name))

    def watch(self, pattern: str | None = None) -> Watch:
        """Watch the names that match `pattern`. No change after this returns is missed."""
        return Watch(self.mount, pattern)

    def status(self) -> Status:
        """What the instance is and what is in force."""
        return self._connection.call(calls.status())

    def upgrade(self) -> Upgraded:
        """Have the program that is installed now take over, with everything; only for who runs the instance."""
        return self._connection.call(calls.upgrade())

    def close(self) -> None:
        """End the connection. Retrieved descriptors stay open."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"<store at {self.mount!r}>"
