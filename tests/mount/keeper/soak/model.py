"""What one client knows of its entries: which names there must be, and which open file each must be."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fdstorefs.host.syscalls import SAME_FILE, same_file_order


def now() -> float:
    """The time that entries expire by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(eq=False)
class Item:
    """An entry. `fd` is our own descriptor of the open file, `peer` the other side of it, -1 if there is none.

    It may be gone from `expires_from` on and is gone at `gone_by`; who has `hung_up` makes it go soon.
    """

    fd: int
    peer: int = -1
    polled: bool = True
    expires_from: float | None = None
    gone_by: float | None = None
    hung_up: bool = False
    links: int = 0

    @property
    def is_firm(self) -> bool:
        """Whether it stays until somebody takes it away."""
        return self.expires_from is None and not self.hung_up

    @property
    def may_be_gone(self) -> bool:
        """At this moment."""
        return self.hung_up or (self.expires_from is not None and now() >= self.expires_from)

    def is_gone_at(self, when: float) -> bool:
        """Whether its time has come."""
        return self.gone_by is not None and when >= self.gone_by

    def hang_up(self) -> None:
        """Close the other side."""
        os.close(self.peer)
        self.peer, self.hung_up = -1, self.polled

    def close(self) -> None:
        """Give up our descriptors."""
        os.close(self.fd)
        if self.peer >= 0:
            os.close(self.peer)

    def is_same(self, descriptor: int) -> bool:
        """Whether that is the same open file."""
        return same_file_order(descriptor, self.fd) == SAME_FILE


State = Mapping[str, Item | None]
"""Names, with what stands there."""


@dataclass
class Model:
    """The names of one client."""

    names: dict[str, Item] = field(default_factory=dict)

    def before(self, names: Iterable[str]) -> State:
        """What stands there now."""
        return {name: self.names.get(name) for name in names}

    def apply(self, after: State) -> None:
        """It stands there from now on."""
        former = [self.names.pop(name) for name in after if name in self.names]
        for name, item in after.items():
            if item is not None:
                self.names[name] = item
                item.links += 1
        for item in former:
            item.links -= 1
            if not item.links:
                item.close()

    def firm(self) -> list[str]:
        """Names that stay."""
        return [name for name, item in self.names.items() if item.is_firm]

    def close(self) -> None:
        """Give up all."""
        self.apply(dict.fromkeys(self.names))
