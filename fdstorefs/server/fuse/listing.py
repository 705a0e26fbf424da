"""Listings: what readdir shows, kept as it was when the directory was opened or rewound."""

from dataclasses import dataclass, field

from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import QuotaExceeded
from fdstorefs.server.fuse.own_sockets import OwnSocket, OwnSockets

Listed = Entry | Box | OwnSocket

OPEN_PER_UID, NAMES_PER_UID = 256, 1 << 18
"""How many directories a user may have open, and, but for the first, how many names may be in them together."""


@dataclass(slots=True)
class Listing:
    """One open directory and what its opener may list."""

    subject: Subject
    box: Box
    items: list[tuple[str, Listed]] = field(default_factory=list)
    was_read: bool = False


def refresh(listing: Listing, store: Store, sockets: OwnSockets) -> None:
    """List the box anew; Denied if the opener may not read it."""
    box, subject = listing.box, listing.subject
    listing.items = [(".", box), ("..", box.parent or box)]
    if box is store.root:
        listing.items += sockets.listing()
    listing.items += store.names(subject, box)


class Listings:
    """The open directories, by the number that the kernel has for each."""

    def __init__(self) -> None:
        self._open: dict[int, Listing] = {}
        self.latest = 0
        """The number that was given last."""

    def add(self, listing: Listing) -> int:
        """Its number. QuotaExceeded if its opener has too many open."""
        self._require_room(listing)
        self.latest += 1
        self._open[self.latest] = listing
        return self.latest

    def refresh(self, listing: Listing, store: Store, sockets: OwnSockets) -> None:
        """List an open one anew. Errors as of `refresh` and `add`, and then nothing is in it."""
        refresh(listing, store, sockets)
        try:
            self._require_room(listing)
        except QuotaExceeded:
            listing.items = []
            raise

    def _require_room(self, listing: Listing) -> None:
        uid = listing.subject.uid
        others = [each for each in self._open.values() if each.subject.uid == uid and each is not listing]
        names = sum(len(each.items) for each in (listing, *others))
        if len(others) >= OPEN_PER_UID or (others and names > NAMES_PER_UID):
            raise QuotaExceeded(
                f"uid {uid} has {len(others)} of {OPEN_PER_UID} directories open in the mount, with {names} of "
                f"{NAMES_PER_UID} names in them",
                hint="close some",
            )

    def add_again(self, number: int, listing: Listing) -> None:
        """One that has its number from another server."""
        self._open[number] = listing
        self.latest = max(self.latest, number)

    def numbered(self) -> list[tuple[int, Listing]]:
        """Each with its number."""
        return list(self._open.items())

    def get(self, number: int) -> Listing:
        """The one with this number."""
        return self._open[number]

    def close(self, number: int) -> None:
        """Forget it. Harmless if there is none."""
        self._open.pop(number, None)
