"""Handles: what an open(2) in the mount gave, by number."""

from collections.abc import Iterator
from typing import Protocol

from fdstorefs.errors import BadDescriptor, QuotaExceeded
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.passed import Told
from fdstorefs.server.shares import Most, Shares


class Handle(Protocol):
    """An open handle. Every call must be answered in the end; none may block.

    `open_flags` are FOPEN_ flags for the kernel.
    """

    @property
    def open_flags(self) -> int:
        """What the kernel shall know of the handle."""
        ...

    def read(self, call: Call, size: int) -> None:
        """Answer with at most `size` bytes."""
        ...

    def write(self, call: Call, data: memoryview, offset: int) -> None:
        """Take `data`, which is valid during this call only, and answer with the count taken."""
        ...

    def poll(self, call: Call, events: int, kh: int | None) -> None:
        """Answer with the events that are ready; tell the waiters `kh`, if any, once that changes."""
        ...

    def release(self) -> None:
        """The last descriptor of the handle is closed."""
        ...

    def told(self) -> Told:
        """What another server needs to go on with the handle, for JSON; open files and entries by their numbers."""
        ...

    def begin(self) -> None:
        """Go on in place of another server."""
        ...

    def was_used(self) -> None:
        """The other server has read or written something after all."""
        ...

    def leave(self) -> None:
        """Another server goes on: tell nobody of anything any more, and give nothing back."""
        ...


class Handles:
    """The open handles of a mount. Numbers are never used twice. `most` says how many there may be."""

    def __init__(self, most: Most) -> None:
        self.latest = 0
        """The number that was given last."""
        self._handles: dict[int, Handle] = {}
        self._openers: dict[int, int] = {}
        self._shares = Shares(*most)

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[Handle]:
        return iter(tuple(self._handles.values()))

    def require_room(self, uid: int) -> None:
        """Raise QuotaExceeded if this user cannot open one more."""
        if not self._shares.fits(uid, 1):
            raise QuotaExceeded(
                f"uid {uid} has {self._shares.of(uid)} of {self._shares.per_uid} handles open in the mount, and all "
                f"users together {self._shares.used} of {self._shares.total}",
                hint="close some",
            )

    def add(self, handle: Handle, uid: int) -> int:
        """Give a handle its number; it counts for the user who opened it."""
        self.add_again(self.latest + 1, handle, uid)
        return self.latest

    def add_again(self, number: int, handle: Handle, uid: int) -> None:
        """A handle that has its number from another server."""
        self._handles[number] = handle
        self._openers[number] = uid
        self._shares.take(uid, 1)
        self.latest = max(self.latest, number)

    def numbered(self) -> list[tuple[int, Handle]]:
        """Each with its number."""
        return list(self._handles.items())

    def opener(self, number: int) -> int:
        """The uid of who opened a handle."""
        return self._openers[number]

    def get(self, number: int) -> Handle:
        """The handle with this number; BadDescriptor if there is none."""
        handle = self._handles.get(number)
        if handle is None:
            raise BadDescriptor(f"there is no handle {number}")
        return handle

    def was_used(self, number: int) -> None:
        """Another server has read or written by a handle. Harmless if there is none."""
        handle = self._handles.get(number)
        if handle is not None:
            handle.was_used()

    def release(self, number: int) -> None:
        """Forget a handle, which gives back what it holds. Harmless if there is none."""
        handle = self._handles.pop(number, None)
        if handle is not None:
            self._shares.take(self._openers.pop(number), -1)
            handle.release()

    def release_all(self) -> None:
        """Forget every handle."""
        for number in tuple(self._handles):
            self.release(number)
