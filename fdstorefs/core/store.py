"""The store: every operation on entries and boxes, checked, limited and announced. Pure: no I/O.

Each operation either happens whole or raises a `StoreError` and changes nothing. Every one asks the
`Authority` first; nothing else in the project decides who may do what.
"""

from collections.abc import Callable

from fdstorefs.core.access import MODE_BITS, Authority
from fdstorefs.core.attributes import Attributes
from fdstorefs.core.dumping import Dumping
from fdstorefs.core.lapsing import Lapsing
from fdstorefs.core.limits import Limits
from fdstorefs.core.naming import Naming
from fdstorefs.core.node import Box
from fdstorefs.core.renaming import Renaming
from fdstorefs.core.restoring import Restoring
from fdstorefs.core.tree import ROOT_INO, Tree


class Store(Restoring, Dumping, Naming, Renaming, Attributes, Lapsing):
    """One instance's entries. `clock` gives the time in ns since the epoch."""

    def __init__(
        self,
        *,
        uid: int,
        gid: int,
        clock: Callable[[], int],
        mode: int = 0o1777,
        limits: Limits | None = None,
        authority: Authority = MODE_BITS,
    ) -> None:
        now = clock()
        root = Box(ino=ROOT_INO, uid=uid, gid=gid, mode=mode, created=now, changed=now)
        super().__init__(Tree(root), authority, limits or Limits(), clock)
