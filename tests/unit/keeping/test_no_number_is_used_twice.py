"""What is kept under a number is known by it: whoever is yet to let go of an old one must not mean a new one."""

import os
from collections.abc import Iterator

import pytest

from fdstorefs.core.node import Stasher
from fdstorefs.errors import Overloaded
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from fdstorefs.server.keeping.memory import read_memory
from fdstorefs.server.keeping.namespaces import FIRST_NUMBER
from tests.unit.keeping.lives import Kept, NextLife


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A store."""
    kept = Kept()
    yield kept
    kept.end()


def chain() -> HeldChain:
    """A user namespace."""
    return HeldChain(HeldNamespace(os.open("/proc/self/ns/user", os.O_RDONLY)))


def next_life(kept: Kept, extra: tuple[int, ...] = ()) -> NextLife:
    """The server after a crash; the keeper has more than the journal speaks of."""
    held = kept.holding.copies() | {number: os.memfd_create("extra") for number in extra}
    return NextLife(read_memory(kept.holding.memory), held)


def next_number(after: NextLife) -> int:
    """The number of the next open file that comes."""
    file = after.life.intake.accept(os.memfd_create("new"))
    number = file.number
    after.life.intake.reject(file)
    return number


def test_not_that_of_one_that_was_discarded(kept: Kept) -> None:
    """Before the server was killed; a client may still know it."""
    kept.do("stash", "a", 0)
    kept.do("stash", "b", 1)
    kept.do("discard", "b")
    after = next_life(kept)

    assert 3 == next_number(after)
    after.end()


def test_not_that_of_one_that_nobody_was_told_of(kept: Kept) -> None:
    """The keeper, or systemd, is yet to be rid of it."""
    kept.do("stash", "a", 0)
    after = next_life(kept, extra=(7,))

    assert {7} == set(after.rebuilt.dropped)
    assert 8 == next_number(after)
    after.end()


def test_nor_in_the_life_after_that(kept: Kept) -> None:
    """It is remembered."""
    kept.do("stash", "a", 0)
    after = next_life(kept, extra=(7,))
    later = NextLife(read_memory(after.keeping.journal_fd), after.holding.copies())

    assert 8 == next_number(later)
    after.end()
    later.end()


def test_not_that_of_a_namespace_which_is_dropped(kept: Kept) -> None:
    """As it is with open files."""
    after = next_life(kept, extra=(FIRST_NUMBER + 5,))
    space = after.keeping._namespaces.unkept(chain())

    assert space is not None
    assert FIRST_NUMBER + 6 == space[0]
    after.end()


def test_not_that_of_a_namespace_which_was_let_go_of(kept: Kept) -> None:
    """And that nobody holds any more."""
    kept.person.stasher = Stasher(1, 1000, 1000, "x", chain())
    kept.do("stash", "a", 0)
    kept.person.stasher = Stasher(1, 1000, 1000)
    kept.do("discard", "a")
    kept.do("stash", "b", 1)
    kept.do("stash", "c", 1)
    assert FIRST_NUMBER not in kept.holding.held
    after = next_life(kept)
    space = after.keeping._namespaces.unkept(chain())

    assert space is not None
    assert FIRST_NUMBER + 1 == space[0]
    after.end()


def test_not_that_of_a_namespace_which_was_refused(kept: Kept) -> None:
    """The keeper may have taken it, and be told to drop it only when the next one is there."""
    kept.person.stasher = Stasher(1, 1000, 1000, "x", chain())
    kept.do("refuse", True)
    with pytest.raises(Overloaded):
        kept.do("stash", "a", 0)
    kept.do("refuse", False)
    kept.do("stash", "a", 0)

    assert FIRST_NUMBER not in kept.holding.held
    assert FIRST_NUMBER + 1 in kept.holding.held
