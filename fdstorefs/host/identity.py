"""Which stored file is this? Two descriptors are one open file when the kernel (kcmp) says so."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fdstorefs.host import syscalls

Token = TypeVar("Token", bound=Hashable)
_Key = tuple[int, int]


@dataclass(slots=True)
class _Bucket(Generic[Token]):
    """The stored files of one inode, in the kernel's order where it tells one."""

    fds: list[int] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)


class IdentityIndex(Generic[Token]):
    """The open files of the store, found by any descriptor of them.

    All eventfds of the machine share one inode, so one bucket may hold everything: it is kept sorted by
    kcmp's order, and a look-up costs a logarithm of system calls. Without kcmp it costs one call per file.
    The descriptors added must stay open until after `remove`.
    """

    def __init__(self) -> None:
        self._buckets: dict[_Key, _Bucket[Token]] = {}
        self._places: dict[Token, tuple[_Key, int]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def find(self, fd: int, dev: int, ino: int) -> Token | None:
        """The token of the stored file that `fd` is another descriptor of. Raises OSError (EBADF)."""
        bucket = self._buckets.get((dev, ino))
        if bucket is None:
            return None
        position, is_there = _position(bucket.fds, fd)
        return bucket.tokens[position] if is_there else None

    def add(self, fd: int, dev: int, ino: int, token: Token) -> None:
        """Remember a stored file. Raises ValueError when it, or the token, is there already."""
        if token in self._places:
            raise ValueError(f"{token!r} is indexed already")
        bucket = self._buckets.setdefault((dev, ino), _Bucket())
        position, is_there = _position(bucket.fds, fd)
        if is_there:
            raise ValueError(f"the open file of descriptor {fd} is indexed already")
        bucket.fds.insert(position, fd)
        bucket.tokens.insert(position, token)
        self._places[token] = ((dev, ino), fd)

    def remove(self, token: Token) -> None:
        """Forget a stored file, while its descriptor is still open. Raises KeyError when it isn't there."""
        key, fd = self._places.pop(token)
        bucket = self._buckets[key]
        position, _ = _position(bucket.fds, fd)
        del bucket.fds[position], bucket.tokens[position]
        if not bucket.fds:
            del self._buckets[key]


def _position(fds: list[int], fd: int) -> tuple[int, bool]:
    """Where `fd` is or belongs among sorted descriptors, and whether it is there."""
    low, high = 0, len(fds)
    while low < high:
        middle = (low + high) // 2
        order = syscalls.same_file_order(fds[middle], fd)
        if order == syscalls.SAME_FILE:
            return middle, True
        if order == syscalls.DIFFERENT_WITHOUT_ORDER:
            return _position_without_order(fds, fd)
        if order == syscalls.ORDERED_BEFORE:
            low = middle + 1
        else:
            high = middle
    return low, False


def _position_without_order(fds: list[int], fd: int) -> tuple[int, bool]:
    for position, other in enumerate(fds):
        if syscalls.same_file_order(other, fd) == syscalls.SAME_FILE:
            return position, True
    return len(fds), False
