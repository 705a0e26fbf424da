"""Handles: what an open(2) in the mount gave, by number."""

from collections.abc import Iterator
from typing import Protocol

from fdstorefs.errors import BadDescriptor
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.passed import Told


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
    """The open handles of a mount. Numbers are never used twice."""

    def __init__(self) -> None:
        self.latest = 0
        """The number that was given last."""
        self._handles: dict[int, Handle] = {}

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[Handle]:
        return iter(tuple(self._handles.values()))

    def add(self, handle: Handle) -> int:
        """Give a handle its number."""
        self.latest += 1
        self._handles[self.latest] = handle
        return self.latest

    def add_again(self, number: int, handle: Handle) -> None:
        """A handle that has its number from another server."""
        self._handles[number] = handle
        self.latest = max(self.latest, number)

    def numbered(self) -> list[tuple[int, Handle]]:
        """Each with its number."""
        return list(self._handles.items())

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
            handle.release()

    def release_all(self) -> None:
        """Forget every handle."""
        for number in tuple(self._handles):
            self.release(number)
