"""Handles: what an open(2) in the mount gave, by number."""

import itertools
from collections.abc import Iterator
from typing import Protocol

from fdstorefs.errors import BadDescriptor
from fdstorefs.server.fuse.call import Call


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


class Handles:
    """The open handles of a mount. Numbers are never used twice."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._handles: dict[int, Handle] = {}

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[Handle]:
        return iter(tuple(self._handles.values()))

    def add(self, handle: Handle) -> int:
        """Give a handle its number."""
        number = next(self._numbers)
        self._handles[number] = handle
        return number

    def get(self, number: int) -> Handle:
        """The handle with this number; BadDescriptor if there is none."""
        handle = self._handles.get(number)
        if handle is None:
            raise BadDescriptor(f"there is no handle {number}")
        return handle

    def release(self, number: int) -> None:
        """Forget a handle, which gives back what it holds. Harmless if there is none."""
        handle = self._handles.pop(number, None)
        if handle is not None:
            handle.release()

    def release_all(self) -> None:
        """Forget every handle."""
        for number in tuple(self._handles):
            self.release(number)
