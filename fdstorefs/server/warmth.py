"""A process that many servers are forked from: what each would do is done once, and what they share stays shared.

After fork(2) parent and child have their memory in common, page by page, until one of them writes to a page. CPython
writes where it only reads, since every use of an object counts in it, and to code that it executes. So what a child has
for itself depends on which objects it uses, and on what lies beside them.
"""

import gc
import sys
from collections.abc import Collection
from types import CodeType, FunctionType

from fdstorefs.server import instance
from fdstorefs.server.enforcement.keeping import make_ready
from fdstorefs.server.enforcement.loading import load_policies

_SIZES = range(48, 3072, 16)
"""Bytes of the objects among which gaps are filled. Smaller ones are few, and of larger ones few are made."""

_PAGE = 4096
_MOST_OF_A_SIZE = 1 << 20
_ALLOCATORS_OWN = 16
_HEADER = sys.getsizeof(b"")

_kept: list[object] = []
"""What fills gaps, and what would leave some if it went."""


def warm_up(executed: Collection[int] = ()) -> None:
    """Make this process one to fork servers from. It should have loaded all that they need, and have one thread.

    `executed` are the hashes of code objects of which it is known that servers will execute them.
    """
    make_ready(load_policies((), "/"), instance.FIRST_GENERATION)
    gc.collect()
    _fill_gaps()
    _lay_together(frozenset(executed))
    # What a child looks up takes the place of what was looked up here, which has its uses counted wherever it is.
    sys._clear_type_cache()
    _fill_gaps()
    # A child's collector shall look at nothing that is here now.
    gc.freeze()


def _lay_together(executed: frozenset[int]) -> None:
    """Have functions execute copies that lie beside one another, and not among much that is never executed."""
    copies: dict[int, CodeType] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType and _is_in(function.__code__, executed):
            _kept.append(function.__code__)
            function.__code__ = _copied(function.__code__, executed, copies)


def _is_in(code: CodeType, executed: frozenset[int]) -> bool:
    inner = (each for each in code.co_consts if type(each) is CodeType)
    return hash(code) in executed or any(_is_in(each, executed) for each in inner)


def _copied(code: CodeType, executed: frozenset[int], copies: dict[int, CodeType]) -> CodeType:
    if id(code) not in copies:
        constants = (
            _copied(each, executed, copies) if type(each) is CodeType and _is_in(each, executed) else each
            for each in code.co_consts
        )
        copies[id(code)] = code.replace(co_consts=tuple(constants))
    return copies[id(code)]


def _fill_gaps() -> None:
    """Fill the gaps between objects: new ones, a child's too, lie among themselves."""
    _kept.extend(_filling(size) for size in _SIZES)


def _filling(size: int) -> list[bytes]:
    """So many objects of one size that there is no gap of it left: a page full of them has come in one piece."""
    filling: list[bytes] = []
    in_a_row, before = 0, 0
    while in_a_row * size < _PAGE and len(filling) * size < _MOST_OF_A_SIZE:
        filling.append(bytes(size - _HEADER))
        address = id(filling[-1])
        in_a_row = in_a_row + 1 if size <= address - before <= size + _ALLOCATORS_OWN else 0
        before = address
    return filling
