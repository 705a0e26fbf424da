"""User namespaces: a namespace and those above it, by number."""

import fcntl
import os

_NS_GET_PARENT = 0xB702


def chain(fd: int) -> tuple[int, ...]:
    """The number of the user namespace behind a descriptor, then that of each one above it, in turn.

    The kernel shows what is above up to our own namespace, and nothing above a namespace that is not below
    ours: there the chain ends. The descriptor stays open.
    """
    number = os.fstat(fd).st_ino
    try:
        above: int = fcntl.ioctl(fd, _NS_GET_PARENT)
    except PermissionError:
        return (number,)
    try:
        return (number, *chain(above))
    finally:
        os.close(above)
