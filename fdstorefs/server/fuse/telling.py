"""Telling: what the kernel and its callers know of a mount, for JSON, for the server that takes it over.

The store itself is not told: both servers have it. But what has no name any more is, if somebody still has it open.

    format; init, answer: the kernel's first request, and what it was answered
    files: open files without a name (see `passed_files`); nodes: entries and boxes without one, as in the journal
    lookups: number of a node, how often the kernel was told of it; sockets: name, number, uid, gid, when it was bound
    handles, listings: the latest number, and those that are open, with their numbers
    waiting, lingering: whole requests, each with how many bytes of a WRITE are written
"""

import json
from collections.abc import Iterable, Iterator

from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.tree import Tree
from fdstorefs.server.fuse import settled
from fdstorefs.server.fuse.data_handle import DataHandle
from fdstorefs.server.fuse.handles import Handle, Handles
from fdstorefs.server.fuse.listing import Listed, Listing, Listings
from fdstorefs.server.fuse.own_sockets import OwnSocket
from fdstorefs.server.fuse.stash_handle import StashHandle
from fdstorefs.server.fuse.transfer import Unfinished
from fdstorefs.server.keeping.encoding import NodeEncoder
from fdstorefs.server.passed import Packing, Told
from fdstorefs.server.passed_files import tell_files

FORMAT = 1

DATA, STASH = "data", "stash"


def tell_handles(handles: Handles) -> Told:
    """All handles."""
    return {
        "latest": handles.latest,
        "open": [
            [number, _kind(handle), handle.told(), handles.opener(number)]
            for number, handle in handles.numbered()
        ],
    }


def _kind(handle: Handle) -> str:
    return STASH if isinstance(handle, StashHandle) else DATA


def files_of(handles: Handles) -> list[OpenFile]:
    """The open files of all handles."""
    return [handle.file for handle in handles if isinstance(handle, DataHandle)]


def tell_files_of(handles: Handles, packing: Packing) -> list[Told]:
    """Those of them that have no name."""
    return tell_files(files_of(handles), packing)


def tell_listings(listings: Listings, packing: Packing) -> Told:
    """All open directories."""
    return {
        "latest": listings.latest,
        "open": [[number, _listing(listing, packing)] for number, listing in listings.numbered()],
    }


def _listing(listing: Listing, packing: Packing) -> Told:
    return {
        "subject": settled.tell(listing.subject, packing),
        "box": listing.box.ino,
        "items": [[name, _listed(listed)] for name, listed in listing.items],
        "read": listing.was_read,
    }


def _listed(listed: Listed) -> int | list[str | int]:
    return tell_socket(listed) if isinstance(listed, OwnSocket) else listed.ino


def tell_socket(socket: OwnSocket) -> list[str | int]:
    """One of the store's own sockets."""
    return [socket.name, socket.ino, socket.uid, socket.gid, socket.bound]


def tell_lookups(store: Store) -> list[list[int]]:
    """How often the kernel was told of each node."""
    return [[node.ino, node.lookups] for node in store.tree.nodes.values() if node.lookups]


def tell_nodes(store: Store, handles: Handles, listings: Listings) -> list[Told]:
    """All that somebody has open, or knows, and that has no name any more."""
    encoder = NodeEncoder()
    return [json.loads(encoder.node(node)) for node in _nameless(store, handles, listings)]


def _nameless(store: Store, handles: Handles, listings: Listings) -> list[Entry | Box]:
    found: dict[int, Entry | Box] = {}
    for node in _met(store, handles, listings):
        while node.ino not in found and not Tree.is_named(node):
            found[node.ino] = node
            # A box that is gone was in another, which may be gone by now.
            node = node.parent if isinstance(node, Box) and node.parent is not None else node
    return list(found.values())


def _met(store: Store, handles: Handles, listings: Listings) -> Iterator[Entry | Box]:
    yield from store.tree.nodes.values()
    for handle in handles:
        if isinstance(handle, StashHandle):
            yield handle.entry
    for _, listing in listings.numbered():
        yield listing.box
        for _, listed in listing.items:
            if not isinstance(listed, OwnSocket):
                yield listed


def tell_waiting(waiting: Iterable[Unfinished], packing: Packing) -> list[list[object]]:
    """Requests that wait for data or for room."""
    return [[packing.bytes(each.request), each.moved] for each in waiting]
