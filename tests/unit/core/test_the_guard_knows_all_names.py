"""Whatever is done with a store, its guard knows the names of every open file in it, and of no other."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.access import Action, Check, Target, mode_bits
from fdstorefs.core.node import Box, Opener
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Denied, NotGuarded, StoreError
from tests.unit.core.driven import STEPS, Driven
from tests.unit.core.knowing_guard import OPENER, KnowingGuard, by_path


class Guarded(Driven):
    """A store with a guard."""

    def __init__(self, check: Check = mode_bits) -> None:
        self.denies = False
        self._check = check
        super().__init__(self._judge)
        self.guard = self.store.guard = KnowingGuard(self.store)

    def _judge(self, subject: Subject, action: Action, target: Target) -> None:
        if self.denies and target.coming is not None and target.coming.file is not None:
            raise Denied("denied")
        self._check(subject, action, target)

    def deny(self, denies: bool) -> None:
        """Let no open file get a name, or let them."""
        self.denies = denies

    def refuse(self, refuses: bool) -> None:
        """Have the guard refuse from now on, or consent."""
        self.guard.refuses = refuses


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS | st.tuples(st.sampled_from(("refuse", "deny")), st.booleans()), max_size=25))
def test_the_guard_knows_what_the_store_knows(steps: list[tuple[object, ...]]) -> None:
    """After every step, also one that was refused, halfway or at once."""
    guarded = Guarded()
    guarded.make_box("box")
    for step, *arguments in steps:
        before, asked = guarded.picture(), len(guarded.guard.asked)
        try:
            guarded.do(str(step), *arguments)
        except StoreError:
            assert before == guarded.picture()
        if guarded.guard.refuses and len(guarded.guard.asked) > asked:
            assert before == guarded.picture()

        assert by_path(guarded.guard.stored()) == by_path(guarded.guard.known)
        assert guarded.guard.filled() == guarded.guard.entries


@pytest.fixture
def guarded() -> Guarded:
    """A store with a guard."""
    return Guarded()


CHANGES: dict[str, Callable[[Guarded], None]] = {
    "stash": lambda g: g.stash("new", 1),
    "replace": lambda g: g.stash("x", 1),
    "the same again": lambda g: g.stash("x", 0),
    "fill": lambda g: g.fill("x", 1),
    "link": lambda g: g.link("x", "y"),
    "rename": lambda g: g.rename("x", "y"),
    "rename a box": lambda g: g.rename("box", "chest"),
    "label": lambda g: g.label("x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_name_that_the_guard_refuses_does_not_come_to_be(guarded: Guarded, change: str) -> None:
    """Nothing changes, and the guard goes by the names that it went by before."""
    guarded.make_box("box")
    guarded.stash("x", 0)
    guarded.stash("box/z", 2)
    before, known = guarded.picture(), by_path(guarded.guard.known)
    guarded.guard.refuses = True

    with pytest.raises(NotGuarded):
        CHANGES[change](guarded)
    assert (before, known) == (guarded.picture(), by_path(guarded.guard.known))


LOSSES: dict[str, Callable[[Guarded], None]] = {
    "discard": lambda g: g.discard("x"),
    "take": lambda g: g.take("x"),
    "discard one of two": lambda g: g.discard("box/z"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_name_goes_without_the_guards_consent(guarded: Guarded, loss: str) -> None:
    """It is told, and not asked."""
    guarded.make_box("box")
    guarded.stash("x", 0)
    guarded.stash("box/z", 2)
    guarded.link("box/z", "z")
    guarded.guard.refuses = True
    LOSSES[loss](guarded)

    assert by_path(guarded.guard.stored()) == by_path(guarded.guard.known)


def test_the_guard_is_told_what_the_entry_will_be(guarded: Guarded) -> None:
    """The number of an entry that is yet to be made, its path, label and stasher."""
    guarded.make_box("box")
    file = guarded.file(0).hold()
    entry, _ = guarded.store.stash(guarded.person.subject, "box/x", file, guarded.person.stasher, label="red")

    assert [("box/x", entry.ino, "red", guarded.person.stasher)] == [tuple(n) for n in guarded.guard.asked[0]]


def test_verdicts_on_a_new_file_know_its_opener() -> None:
    """The guard is asked before the policy is, since the policy may ask who opened it."""
    seen: list[Opener | None] = []

    def look(_subject: Subject, _action: Action, target: Target) -> None:
        if target.coming is not None and target.coming.file is not None:
            seen.append(target.coming.file.opener)

    Guarded(look).stash("x", 0)

    assert {OPENER} == set(seen)


def deny_at_y(_subject: Subject, _action: Action, target: Target) -> None:
    """Deny to put any open file under the name `y`."""
    if target.name == "y" and target.coming is not None and target.coming.file is not None:
        raise Denied("denied")


def test_names_asked_for_in_vain_never_count_for_a_stored_file() -> None:
    """Of a file that is stored already the guard hears only once every verdict has fallen."""
    guarded = Guarded(deny_at_y)
    guarded.stash("x", 0)
    guarded.guard.asked.clear()

    with pytest.raises(Denied):
        guarded.stash("y", 0)
    assert [] == guarded.guard.asked


def test_a_new_file_that_is_denied_is_guarded_no_more() -> None:
    """Else it could be passed on by nobody, and its owner never asked for that."""
    guarded = Guarded(deny_at_y)

    with pytest.raises(Denied):
        guarded.stash("y", 0)
    assert (1, {}) == (len(guarded.guard.asked), guarded.guard.known)


def test_what_a_denied_one_was_to_replace_is_guarded_as_it_was(guarded: Guarded) -> None:
    """The guard has taken its entry for the new one's meanwhile."""
    guarded.stash("x", 0)
    known, entries = by_path(guarded.guard.known), dict(guarded.guard.entries)
    guarded.deny(True)

    with pytest.raises(Denied):
        guarded.stash("x", 1)
    assert (known, entries) == (by_path(guarded.guard.known), guarded.guard.entries)


def test_a_denied_move_of_what_is_there_changes_nothing(guarded: Guarded) -> None:
    """What is replaced in one place was to be put into another at once."""
    guarded.stash("a", 1)
    known, entries = by_path(guarded.guard.known), dict(guarded.guard.entries)
    guarded.deny(True)

    with pytest.raises(Denied):
        guarded.stash_two("b", "a", 1, 0)
    assert (known, entries) == (by_path(guarded.guard.known), guarded.guard.entries)


def test_of_several_a_denied_one_takes_back_all_and_no_stored_one() -> None:
    """The one that was stored before is guarded as it was."""
    guarded = Guarded(deny_at_y)
    guarded.stash("x", 0)
    known = by_path(guarded.guard.known)

    with pytest.raises(Denied):
        guarded.stash_two("z", "y", 1, 0)
    assert known == by_path(guarded.guard.known)


def test_of_two_put_into_one_entry_the_guard_keeps_the_last(guarded: Guarded) -> None:
    """By two of its names. The first is never stored, and nobody is to find it guarded for good."""
    guarded.stash("x", 0)
    guarded.link("x", "y")
    guarded.stash_two("x", "y", 1, 2)

    assert by_path(guarded.guard.stored()) == by_path(guarded.guard.known)
    assert [[], ["x", "y"]] == [[n.path for n in names] for names in guarded.guard.asked[-2:]]


def test_a_name_that_is_replaced_is_not_asked_for(guarded: Guarded) -> None:
    """Two entries hold the same open file, and one takes the name of the other: it has that once."""
    guarded.stash("x", 0)
    guarded.stash("y", 0)
    number = guarded.store.root.children["x"].ino
    guarded.rename("x", "y")

    assert [("y", number)] == [(named.path, named.number) for named in guarded.guard.asked[-1]]


def test_nothing_is_delivered_that_the_guard_does_not_vouch_for(guarded: Guarded) -> None:
    """Neither retrieved nor taken, and it stays where it is."""
    guarded.stash("x", 0)
    guarded.guard.delivers = False
    subject = guarded.person.subject

    with pytest.raises(NotGuarded) as raised:
        guarded.store.retrieve_many(subject, ["x"])
    with pytest.raises(NotGuarded):
        guarded.store.take_many(subject, ["x"])
    assert ("x", True) == (raised.value.name, "x" in guarded.store.root.children)


def test_a_box_keeps_what_is_in_it_when_its_name_goes(guarded: Guarded) -> None:
    """Everything below has another path, and what has names elsewhere keeps those."""
    guarded.make_box("box")
    guarded.stash("box/z", 0)
    guarded.link("box/z", "z")
    guarded.rename("box", "chest")

    box = guarded.store.root.children["chest"]
    assert isinstance(box, Box)
    assert [["chest/z", "z"]] == [[n.path for n in names] for names in by_path(guarded.guard.known).values()]
