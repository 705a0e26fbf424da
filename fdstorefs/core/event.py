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
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; call what comes back, once, to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            listener(event)
