"""What a fork does to connections: the child lets go of its parent's, and makes its own when it needs one."""

import os
from typing import Protocol
from weakref import WeakSet


class Abandonable(Protocol):
    """Something that a child process must not share with its parent."""

    def abandon(self) -> None:
        """Forget the parent's connection; called in the child, before anything else runs there."""
        ...


_live: "WeakSet[Abandonable]" = WeakSet()


def abandon_in_children(connection: Abandonable) -> None:
    """Call `connection.abandon()` in every process forked from this one, for as long as the object lives."""
    _live.add(connection)


def _in_child() -> None:
    for connection in list(_live):
        connection.abandon()


os.register_at_fork(after_in_child=_in_child)
