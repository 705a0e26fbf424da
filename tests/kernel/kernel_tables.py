"""The kernel's tables as root of the host can break them: behind the enforcer's back, through what is pinned."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import Key, Table
from fdstorefs.enforcer.options import PINS

Element = tuple[bytes, bytes]

OF_CLASSES = {Table.TERMS, Table.STASHER_SAME, Table.OPENER_SAME}
"""The tables whose keys have a class's number, and not an instance's."""

_ROOT = Path(PINS, "v1")
_ONLY = bytes(4)


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

    @contextmanager
    def with_more(self, elements: list[Element]) -> Iterator[None]:
        """These are there as well, until the end of the block."""
        syscall.update_many(self._fd, elements)
        try:
            yield
        finally:
            for key, _ in elements:
                syscall.delete(self._fd, key)


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
