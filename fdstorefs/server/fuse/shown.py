"""What stat(2) shows of an entry, a box, or one of the store's own sockets."""

import stat
from typing import NamedTuple

from fdstorefs.core.node import Box
from fdstorefs.server.fuse import own_sockets
from fdstorefs.server.fuse.inodes import presented
from fdstorefs.server.fuse.listing import Listed
from fdstorefs.server.fuse.own_sockets import OwnSocket


class Shown(NamedTuple):
    """Inode number, mode with the kind, owner, group, number of names, and all three times (ns since the epoch)."""

    ino: int
    mode: int
    uid: int
    gid: int
    links: int
    changed: int


def shown(listed: Listed, links: int = 1) -> Shown:
    """With as many names as the subject may know of."""
    if isinstance(listed, OwnSocket):
        mode, changed = own_sockets.MODE, listed.bound
    else:
        mode = (stat.S_IFDIR if isinstance(listed, Box) else stat.S_IFREG) | listed.mode
        changed = listed.changed
    return Shown(presented(listed.ino), mode, listed.uid, listed.gid, links, changed)
