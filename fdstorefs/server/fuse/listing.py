"""Listings: what readdir shows, kept as it was when the directory was opened or rewound."""

from dataclasses import dataclass, field

from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.server.fuse.own_sockets import OwnSocket, OwnSockets

Listed = Entry | Box | OwnSocket


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
