"""Taking over: the mount of another server from what that has told (see `telling`).

Nothing is told to anybody here, and nothing is registered: whatever goes wrong, the other server goes on.
"""

from typing import NamedTuple

from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Userns
from fdstorefs.server.context import Context
from fdstorefs.server.fuse import settled
from fdstorefs.server.fuse.handles import Handle, Handles
from fdstorefs.server.fuse.listing import Listed, Listing, Listings
from fdstorefs.server.fuse.names import Names
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSocket
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.fuse.telling import DATA, FORMAT, STASH
from fdstorefs.server.fuse.transfer import Unfinished
from fdstorefs.server.keeping.decoding import NodeDecoder
from fdstorefs.server.passed import NotUnderstood, Passed, Place, Told, Unpacking, understood
from fdstorefs.server.passed_files import FilesAgain


class Parts(NamedTuple):
    """What a mount's server is made of, with nothing in it yet."""

    context: Context
    handles: Handles
    opening: Opening
    names: Names
    tap: Tap


def take_over(parts: Parts, passed: Passed) -> list[Unfinished]:
    """Put everything in its place. Returns the requests to begin with. Raises NotUnderstood, OSError."""
    unpacking = Unpacking(passed)
    told = unpacking.told
    if told.get("format") != FORMAT:
        raise NotUnderstood(
            f"the mount is told in format {told.get('format')}, and this version knows {FORMAT}"
        )
    return understood("what was told of the mount", lambda: _take_over(parts, told, unpacking))


def _take_over(parts: Parts, told: Told, unpacking: Unpacking) -> list[Unfinished]:
    context, names, tap = parts.context, parts.names, parts.tap
    _begin_session(tap, unpacking.bytes(told["init"]), unpacking.bytes(told["answer"]))
    nodes = NodesAgain(told["nodes"], told["lookups"], context.store)
    files = FilesAgain(told["files"], unpacking, context.intake)
    for socket in told["sockets"]:
        names.sockets.bind_again(socket_again(socket))
    open_again(told["handles"], parts.handles, nodes, files, parts.opening)
    list_again(told["listings"], names.listings, nodes, unpacking, context)
    for unfinished in unfinished_again(told["lingering"], unpacking):
        tap.elsewhere.add(unfinished.request)
    return unfinished_again(told["waiting"], unpacking)


def unfinished_again(told: list[tuple[Place, int]], unpacking: Unpacking) -> list[Unfinished]:
    """Requests that another server has read."""
    return [Unfinished(unpacking.bytes(request), int(moved)) for request, moved in told]


def _begin_session(tap: Tap, request: bytes, answer: bytes) -> None:
    if request and not tap.init_again(request, answer):
        raise NotUnderstood("this version would have told the kernel something else when the mount was made")


class NodesAgain:
    """The nodes of a store, with those that have no name any more."""

    def __init__(self, told: list[Told], lookups: list[list[int]], store: Store) -> None:
        self._store = store
        self._nameless = _decode(told)
        for fields in told:
            node = self._nameless[fields["i"]]
            if isinstance(node, Box):
                node.parent, node.name = self._parent(fields["p"][0]), fields["p"][1]
        for number, count in lookups:
            node = self.get(number)
            node.lookups = count
            store.tree.nodes[number] = node

    def _parent(self, number: int) -> Box:
        found = self.get(number)
        if not isinstance(found, Box):
            raise NotUnderstood(f"node {number} is no box, and something was in it")
        return found

    def get(self, number: int) -> Entry | Box:
        """A node; NotUnderstood if there is none."""
        found = self._nameless.get(number) or self._store.tree.nodes.get(number)
        if found is None:
            raise NotUnderstood(f"node {number} is neither in the store nor was it passed")
        return found

    def box(self, number: int) -> Box:
        """A box."""
        return self._parent(number)

    def entry(self, number: int) -> Entry:
        """An entry."""
        found = self.get(number)
        if not isinstance(found, Entry):
            raise NotUnderstood(f"node {number} is no entry, and somebody stashes into it")
        return found


def _decode(told: list[Told]) -> dict[int, Entry | Box]:
    decoder = NodeDecoder(_forget_namespace)
    return {fields["i"]: decoder.box(fields) if "p" in fields else decoder.entry(fields) for fields in told}


def _forget_namespace(_number: int, _userns: Userns) -> None:
    """Nobody asks any more who stashed what has no name."""


def open_again(told: Told, handles: Handles, nodes: NodesAgain, files: FilesAgain, opening: Opening) -> None:
    """All handles, with their numbers."""
    for number, kind, fields, uid in told["open"]:
        handles.add_again(number, _handle(kind, fields, nodes, files, opening), int(uid))
    handles.latest = max(handles.latest, told["latest"])


def _handle(kind: str, fields: Told, nodes: NodesAgain, files: FilesAgain, opening: Opening) -> Handle:
    if kind == DATA:
        data = opening.data_handle(files.get(fields["file"]), for_equals=bool(fields["equals"]))
        data.take_over(fields)
        return data
    if kind != STASH:
        raise NotUnderstood(f"there are no handles of the kind `{kind}`")
    stash = opening.stash_handle(nodes.entry(fields["entry"]), replacing=bool(fields["replacing"]))
    stash.take_over(fields)
    return stash


def list_again(
    told: Told, listings: Listings, nodes: NodesAgain, unpacking: Unpacking, context: Context
) -> None:
    """All open directories, with their numbers."""
    for number, fields in told["open"]:
        subject = settled.again(fields["subject"], unpacking, context.subjects.home)
        items = [(name, _listed(listed, nodes)) for name, listed in fields["items"]]
        listings.add_again(number, Listing(subject, nodes.box(fields["box"]), items, bool(fields["read"])))
    listings.latest = max(listings.latest, told["latest"])


def _listed(told: int | list[str | int], nodes: NodesAgain) -> Listed:
    return nodes.get(told) if isinstance(told, int) else socket_again(told)


def socket_again(told: list[str | int]) -> OwnSocket:
    """One of the store's own sockets."""
    name, ino, uid, gid, bound = told
    return OwnSocket(str(name), int(ino), int(uid), int(gid), int(bound))
