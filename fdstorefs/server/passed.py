"""What one server passes to another that takes its place: JSON, bytes beside it, and descriptors.

Whoever packs keeps all that it passes. Whoever unpacks owns what it was passed, and each descriptor is taken out once.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Told = dict[str, Any]
Place = list[int]
"""Where bytes are beside the JSON: offset and length."""

_BYTES = "bytes"


class NotUnderstood(Exception):
    """What the other server tells makes no sense to this version."""


@dataclass(slots=True)
class Passed:
    """`told` is for JSON. `descriptors` are to be passed in this order."""

    told: Told
    descriptors: list[int] = field(default_factory=list)


class Packing:
    """Collects what is to be passed. `close` it when that has arrived, or is not to be passed after all."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self._bytes = bytearray()
        self._memory = -1

    def descriptor(self, fd: int) -> int:
        """Pass a descriptor; what is to be told of it."""
        self._descriptors.append(fd)
        return len(self._descriptors) - 1

    def bytes(self, data: "bytes | bytearray | memoryview") -> Place:
        """Pass bytes; what is to be told of them."""
        place = [len(self._bytes), len(data)]
        self._bytes += data
        return place

    def passed(self, told: Told) -> Passed:
        """All of it. Raises OSError where the bytes find no room."""
        if not self._bytes:
            return Passed(told, self._descriptors)
        self._memory = os.memfd_create("fdstorefs-passed", os.MFD_CLOEXEC)
        rest = memoryview(self._bytes)
        while rest:
            rest = rest[os.write(self._memory, rest) :]
        return Passed({**told, _BYTES: self.descriptor(self._memory)}, self._descriptors)

    def close(self) -> None:
        """Let go of what was made for passing. Harmless when that has happened."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


class Unpacking:
    """Takes out what was passed. Every method raises NotUnderstood where nothing of the kind was."""

    def __init__(self, passed: Passed) -> None:
        self.told = passed.told
        self._descriptors: list[int | None] = list(passed.descriptors)
        self._bytes = self._read() if _BYTES in passed.told else b""

    def _read(self) -> bytes:
        fd = self.descriptor(self.told[_BYTES])
        try:
            size = os.fstat(fd).st_size
            parts, at = [], 0
            while at < size and (part := os.pread(fd, size - at, at)):
                parts.append(part)
                at += len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def descriptor(self, number: int) -> int:
        """A descriptor, which is the caller's from now on."""
        fd = self._descriptors[number] if 0 <= number < len(self._descriptors) else None
        if fd is None:
            raise NotUnderstood(f"descriptor {number} was not passed, or is somebody's already")
        self._descriptors[number] = None
        return fd

    def bytes(self, place: Place) -> bytes:
        """Bytes."""
        offset, length = place
        found = self._bytes[offset : offset + length]
        if offset < 0 or len(found) != length:
            raise NotUnderstood(f"{length} bytes at {offset} were not passed")
        return found

    def left(self) -> list[int]:
        """The descriptors that nobody took out."""
        return [fd for fd in self._descriptors if fd is not None]


def understood(what: str, read: Callable[[], T]) -> T:
    """What `read` gives, which takes apart what was told; whatever is wrong with that becomes NotUnderstood."""
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"{what} cannot be read: {error!r}") from error
