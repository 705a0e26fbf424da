"""The kernel's tables as root of the host can break them: behind the enforcer's back, through what is pinned."""

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import Event, Key, Table
from fdstorefs.bpf.ring import Ring
from fdstorefs.enforcer.options import PINS

Element = tuple[bytes, bytes]

OF_CLASSES = {Table.TERMS, Table.STASHER_SAME, Table.OPENER_SAME}
"""The tables whose keys have a class's number, and not an instance's."""

_ROOT = Path(PINS, "v1")
_ONLY = bytes(4)
_SYS_BPF, _MAP_DELETE_BATCH, _ATTR_SIZE = 321, 27, 64
_BATCH = 4096
_LIBC = ctypes.CDLL(None, use_errno=True)


class Map:
    """A map, by a descriptor of its own."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.info = syscall.map_info(fd)

    @classmethod
    def shared(cls, name: str) -> "Map":
        """One of those that all versions of the programs share."""
        return cls(syscall.obj_get(str(_ROOT / "maps" / name)))

    @classmethod
    def generations(cls) -> "Map":
        """The one whose only element is the generation in force."""
        (version,) = _ROOT.glob("programs-*")
        return cls(syscall.obj_get(str(version / "generations")))

    @classmethod
    def rows(cls) -> "Map":
        """The generation in force."""
        generations = cls.generations()
        try:
            number = syscall.lookup(generations._fd, _ONLY, 4)
        finally:
            generations.close()
        assert number is not None, "no generation is in force"
        return cls(syscall.map_by_number(int.from_bytes(number, "little")))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def __enter__(self) -> "Map":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def items(self) -> list[Element]:
        """All that is in it."""
        return list(syscall.items(self._fd, self.info.key_size, self.info.value_size))

    @contextmanager
    def without(self, elements: Iterable[Element]) -> Iterator[None]:
        """These are missing until the end of the block."""
        # The enforcer may have forgotten some of them meanwhile, which are not to come back.
        gone = [(key, value) for key, value in list(elements) if syscall.delete(self._fd, key)]
        assert gone, "nothing is there to be taken out"
        try:
            yield
        finally:
            for key, value in gone:
                syscall.update(self._fd, key, value)

    @contextmanager
    def with_instead(self, key: bytes, value: bytes, other: bytes) -> Iterator[None]:
        """`other` is there in place of a value until the end of the block."""
        syscall.update(self._fd, key, other)
        try:
            yield
        finally:
            syscall.update(self._fd, key, value)

    def value(self, key: bytes, size: int) -> bytes:
        """What is under a key, `size` bytes of it."""
        value = syscall.lookup(self._fd, key, size)
        assert value is not None
        return value

    @contextmanager
    def full(self) -> Iterator[None]:
        """There is no room for more until the end of the block: what fills it means nothing."""
        used = sum(1 for _ in syscall.keys(self._fd, self.info.key_size))
        numbers = range(1, self.info.max_entries - used + 1)
        keys = [number.to_bytes(self.info.key_size, "little") for number in numbers]
        syscall.update_many(self._fd, [(key, bytes(self.info.value_size)) for key in keys])
        try:
            yield
        finally:
            self._delete_many(keys)

    def _delete_many(self, keys: list[bytes]) -> None:
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            buffer = ctypes.create_string_buffer(b"".join(part))
            attr = struct.pack("=QQQQIIQQ", 0, 0, ctypes.addressof(buffer), 0, len(part), self._fd, 0, 0)
            command = ctypes.create_string_buffer(attr, _ATTR_SIZE)
            deleted = _LIBC.syscall(_SYS_BPF, _MAP_DELETE_BATCH, command, _ATTR_SIZE)
            assert deleted == 0, os.strerror(ctypes.get_errno())


def take_records(most: int) -> list[Event]:
    """Take so many records out of the ring. There can be one reader only: the enforcer must not run meanwhile."""
    with Map.shared("events") as events:
        ring = Ring(events._fd, events.info.max_entries)
        try:
            return ring.read(most)
        finally:
            ring.close()


@contextmanager
def no_generation() -> Iterator[None]:
    """No generation is in force until the end of the block."""
    with Map.generations() as generations, Map.rows() as rows:
        syscall.delete(generations._fd, _ONLY)
        try:
            yield
        finally:
            syscall.update(generations._fd, _ONLY, rows._fd.to_bytes(4, "little"))


def rows_of(rows: Map, instance: int, classes: Iterable[int]) -> list[tuple[Key, Element]]:
    """The rows of an instance, and of classes of it."""
    numbers = set(classes)
    found = ((Key.unpack(element[0]), element) for element in rows.items())
    return [
        (key, element)
        for key, element in found
        if (key.of in numbers if key.table in OF_CLASSES else key.of == instance)
    ]
