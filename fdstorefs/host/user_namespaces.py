"""User namespaces: a namespace and those above it, by number."""

import fcntl
import os

_NS_GET_PARENT = 0xB702


class HeldNamespace:
    """A user namespace that does not go, nor those above it, until this object does. Owns its descriptor.

    `numbers` are its own, then that of each namespace above it. The kernel shows them up to our own, and none
    above a namespace that is not below ours: there they end.
    """

    __slots__ = ("__weakref__", "_fd", "numbers")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.numbers = _chain(fd)

    def __del__(self) -> None:
        os.close(self._fd)


class HeldChain(tuple[int, ...]):  # noqa: SLOT001  a tuple's subclass cannot have slots
    """The numbers of a held namespace. It is held for as long as anybody has them.

    The number of a namespace that has gone is soon another's.
    """

    _held: HeldNamespace

    def __new__(cls, held: HeldNamespace) -> "HeldChain":
        """The numbers of `held`."""
        made = super().__new__(cls, held.numbers)
        made._held = held
        return made


def _chain(fd: int) -> tuple[int, ...]:
    number = os.fstat(fd).st_ino
    try:
        above: int = fcntl.ioctl(fd, _NS_GET_PARENT)
    except PermissionError:
        return (number,)
    try:
        return (number, *_chain(above))
    finally:
        os.close(above)
