"""Events: what changed in a store, for whoever watches."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fdstorefs.core.node import Box, Entry


class Change(StrEnum):
    """What happened to a name."""

    CREATED = "created"
    STASHED = "stashed"
    REPLACED = "replaced"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    EVICTED = "evicted"
    RENAMED = "renamed"
    LINKED = "linked"
    CHANGED = "changed"
    SEALED = "sealed"
    UNSEALED = "unsealed"


@dataclass(slots=True, frozen=True)
class Event:
    """One change: the box and the name it happened to, the node, and for a rename the name it had."""

    change: Change
    box: Box
    name: str
    node: Entry | Box
    former: str | None = None


Listener = Callable[[Event], None]


class Events:
    """Calls each listener with each event, in the order of subscription."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: list[tuple[int, Listener]] = []

    def subscribe(self, uid: int, listener: Listener) -> Callable[[], None]:
        """Add a listener of a user; call what comes back, once, to end it."""
        added = uid, listener
        self._listeners.append(added)
        return lambda: self._listeners.remove(added)

    def listeners_of(self, uid: int) -> int:
        """How many listeners a user has."""
        return sum(each == uid for each, _ in self._listeners)

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for _, listener in tuple(self._listeners):
            listener(event)
