"""A process that many servers are forked from: what each would do is done once, and what they share stays shared.

After fork(2) parent and child have their memory in common, page by page, until one of them writes to a page. CPython
writes where it only reads, since every use of an object counts in it. So what a child has for itself depends on which
objects it uses, and on what lies beside them.
"""

import gc
import sys

from fdstorefs.server import instance
from fdstorefs.server.enforcement.keeping import make_ready
from fdstorefs.server.enforcement.loading import load_policies

_SIZES = range(48, 512 + 1, 16)
"""Bytes of the objects that CPython has pools for, a size in each; smaller ones are few."""

_PAGE = 4096
_MOST_OF_A_SIZE = 1 << 20
_HEADER = sys.getsizeof(b"")

_filling: list[list[bytes]] = []


def warm_up() -> None:
    """Make this process one to fork servers from. It should have loaded all that they need, and have one thread."""
    make_ready(load_policies((), "/"), instance.FIRST_GENERATION)
    gc.collect()
    # What a child looks up takes the place of what was looked up here, which has its uses counted wherever it is.
    sys._clear_type_cache()
    _filling[:] = [_fill_gaps(size) for size in _SIZES]
    # A child's collector shall look at nothing that is here now.
    gc.freeze()


def _fill_gaps(size: int) -> list[bytes]:
    """Fill the gaps between objects of one size: new ones of a child lie among themselves.

    Returns what they are filled with. There are none left when a page full of them has come in one piece.
    """
    filling: list[bytes] = []
    in_a_row, before = 0, 0
    while in_a_row * size < _PAGE and len(filling) * size < _MOST_OF_A_SIZE:
        filling.append(bytes(size - _HEADER))
        address = id(filling[-1])
        in_a_row = in_a_row + 1 if address == before + size else 0
        before = address
    return filling
