"""User namespaces: a namespace and those above it, by number."""

import fcntl
import os
import sys
from collections.abc import Callable

from fdstorefs.host import procfs

_NS_GET_USERNS, _NS_GET_PARENT, _NS_GET_OWNER_UID = 0xB701, 0xB702, 0xB704


class HeldNamespace:
    """A user namespace that does not go, nor those above it, until this object does. Owns its descriptor.

    `numbers` are its own, then that of each namespace above it. The kernel shows them up to our own, and none
    above a namespace that is not below ours: there they end. `owners` are the uids of whoever made each of them,
    as our namespace has them. `number` is what somebody else holds it under, 0 while nobody does; with it
    `let_go` is called when this object goes, from any thread.
    """

    __slots__ = ("__weakref__", "descriptor", "let_go", "number", "numbers", "owners")

    def __init__(self, fd: int) -> None:
        self.descriptor = fd
        self.number = 0
        self.let_go: Callable[[int], None] | None = None
        self.numbers, self.owners = zip(*_chain(fd), strict=True)

    def __del__(self) -> None:
        if self.let_go is not None:
            self.let_go(self.number)
        os.close(self.descriptor)


class HeldChain(tuple[int, ...]):  # noqa: SLOT001  a tuple's subclass cannot have slots
    """The numbers of a held namespace. It is held for as long as anybody has them.

    The number of a namespace that has gone is soon another's.
    """

    held: HeldNamespace

    def __new__(cls, held: HeldNamespace) -> "HeldChain":
        """The numbers of `held`."""
        made = super().__new__(cls, held.numbers)
        made.held = held
        return made


def outermost(fd: int) -> int:
    """The number of the one just below our own that the namespace behind `fd` is, or is in: one for all that it makes.

    Closes `fd`.
    """
    numbers: tuple[int, ...] = HeldNamespace(fd).numbers
    return numbers[-2] if len(numbers) > 1 else numbers[0]


def mounts_are_from_above() -> bool:
    """Whether the mount namespace that we are in belongs to a user namespace above ours, and its files are not ours."""
    mounts = procfs.open_namespace("mnt")
    try:
        os.close(fcntl.ioctl(mounts, _NS_GET_USERNS))
    except PermissionError:
        return True
    finally:
        os.close(mounts)
    return False


def _chain(fd: int) -> list[tuple[int, int]]:
    """Number and owner of a namespace and of those above it."""
    here = (os.fstat(fd).st_ino, _owner(fd))
    try:
        above: int = fcntl.ioctl(fd, _NS_GET_PARENT)
    except PermissionError:
        return [here]
    try:
        return [here, *_chain(above)]
    finally:
        os.close(above)


def open_user_namespace_of(fd: int) -> int:
    """A descriptor of the user namespace that the namespace behind `fd` belongs to. PermissionError: not below ours."""
    return fcntl.ioctl(fd, _NS_GET_USERNS)


def _owner(fd: int) -> int:
    uid = bytearray(4)
    fcntl.ioctl(fd, _NS_GET_OWNER_UID, uid)
    return int.from_bytes(uid, sys.byteorder)
