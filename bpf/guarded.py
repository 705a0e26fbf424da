"""The list of our own maps, programs and links, by which the programs know what to keep others away from."""

from collections.abc import Iterable

from fdstorefs.bpf.typed_map import TypedMap

MAP, PROGRAM, LINKED = 1, 2, 3
"""Kinds of objects."""

Object = tuple[int, int]
"""Kind, and the kernel's number."""


class Guarded:
    """What is on the list."""

    def __init__(self, listed: TypedMap[int, int]) -> None:
        self._listed = listed

    def add(self, objects: Iterable[Object]) -> None:
        """Put objects on the list."""
        for kind, number in objects:
            self._listed.put(kind << 32 | number, kind)

    def keep_only(self, objects: Iterable[Object]) -> None:
        """Make the list this one: the kernel gives numbers of what has gone to others some day."""
        wanted = {kind << 32 | number for kind, number in objects}
        self.add((key >> 32, key & 0xFFFF_FFFF) for key in wanted)
        for key in [key for key, _ in self._listed.items() if key not in wanted]:
            self._listed.remove(key)
