"""Inodes: from the numbers and names that the kernel sends to what is in the store."""

from fdstorefs.core.access import Target
from fdstorefs.core.name import RESERVED
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.errors import IsABox, NoSuchEntry, NotABox, NotPermitted
from fdstorefs.host.recursion import INODE_PREFIX, INODE_PREFIX_SHIFT
from fdstorefs.server.fuse.own_sockets import OwnSocket, OwnSockets

_PREFIX = INODE_PREFIX << INODE_PREFIX_SHIFT
_MASK = (1 << INODE_PREFIX_SHIFT) - 1


def presented(ino: int) -> int:
    """The inode number that clients see: the prefix makes a file of any instance known as such."""
    return _PREFIX | ino


def plain(inode: int) -> int:
    """The store's own number; the kernel calls the root 1 and all else as it was presented."""
    return inode & _MASK


def text_of(name: bytes) -> str:
    """A name as the store has it: bytes that are not UTF-8 become lone surrogates."""
    return name.decode("utf-8", "surrogateescape")


class Inodes:
    """Finds what the kernel means."""

    def __init__(self, store: Store, sockets: OwnSockets) -> None:
        self._store = store
        self._sockets = sockets

    def socket(self, inode: int) -> OwnSocket | None:
        """One of the store's own sockets, if this is one."""
        return self._sockets.by_ino(plain(inode))

    def node(self, inode: int) -> Entry | Box:
        """An entry or a box; errors: NoSuchEntry, NotPermitted for one of the store's own sockets."""
        node = self._store.tree.nodes.get(plain(inode))
        if node is not None:
            return node
        if self.socket(inode) is not None:
            raise NotPermitted("the store's own sockets cannot be changed")
        raise NoSuchEntry("the inode is gone")

    def box(self, inode: int) -> Box:
        """A box; errors: NotABox and those of `node`."""
        node = self.node(inode)
        if not isinstance(node, Box):
            raise NotABox("an entry is not a box")
        return node

    def entry(self, inode: int) -> Entry:
        """An entry; errors: IsABox and those of `node`."""
        node = self.node(inode)
        if isinstance(node, Box):
            raise IsABox("a box is not an entry")
        return node

    def target(self, inode: int, name: bytes) -> Target:
        """A name in a box; errors: those of `box`, and of names."""
        return self._store.target(self.box(inode), text_of(name))

    def is_reserved(self, box: Box, name: str) -> bool:
        """True for the names of the store's own sockets."""
        return box is self._store.root and name in RESERVED
