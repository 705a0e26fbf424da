"""Ids of an instance's user namespace and those of the initial one, which are the kernel's."""

from collections.abc import Iterable
from dataclasses import dataclass

from fdstorefs.bpf.abi import Range


@dataclass(frozen=True, slots=True)
class Extent:
    """A line of uid_map or gid_map: `count` ids from `inner` on are those from `outer` on in the initial one."""

    inner: int
    outer: int
    count: int


class IdMap:
    """Translates ids both ways; those that no extent has have no counterpart."""

    __slots__ = ("_extents",)

    def __init__(self, extents: Iterable[Extent]) -> None:
        self._extents = tuple(extents)

    def to_host(self, number: int) -> int | None:
        """The id of the initial namespace that the instance knows by this number."""
        for extent in self._extents:
            if extent.inner <= number < extent.inner + extent.count:
                return extent.outer + number - extent.inner
        return None

    def to_instance(self, number: int) -> int | None:
        """The number that the instance knows this id of the initial namespace by."""
        for extent in self._extents:
            if extent.outer <= number < extent.outer + extent.count:
                return extent.inner + number - extent.outer
        return None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The ids of the initial namespace that the instance has numbers for."""
        return tuple(Range(extent.outer, extent.count) for extent in self._extents)


IDENTITY = IdMap([Extent(0, 0, 0xFFFF_FFFF)])
"""The initial namespace's: every id but -1, which is nobody's."""
