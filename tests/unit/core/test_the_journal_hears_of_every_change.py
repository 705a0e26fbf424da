"""Whatever is done with a store, its journal has heard of it once, and of nothing that was refused."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.event import Change, Event
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.errors import Overloaded, StoreError
from tests.unit.core.driven import STEPS, Driven
from tests.unit.core.knowing_guard import KnowingGuard

Told = tuple[object, ...]


def told(node: Entry | Box) -> Told | None:
    """All that has to be known of a node; None for one that nothing leads to."""
    common = (node.uid, node.gid, node.mode, node.created, node.changed, node.stasher)
    if isinstance(node, Box):
        place = (node.parent.ino, node.name) if node.parent is not None else None
        return (*common, place, node.sealed) if node.is_attached else None
    places = tuple((box.ino, name) for box, name in node.places)
    own = (node.label, node.expires, node.polled)
    return (*common, places, own, node.file and node.file.number) if places else None


class KnowingJournal:
    """A journal that knows what it was told, and refuses when it is told to."""

    def __init__(self, driven: Driven) -> None:
        self.nodes: dict[int, Told] = {}
        self.records = 0
        self.refuses = False
        self.asked = 0
        self._driven = driven
        self.record([driven.store.root])

    def prepare(
        self,
        _names: int,
        files: Iterable[OpenFile] = (),
        _stasher: Stasher | None = None,
        _texts: Iterable[str] = (),
    ) -> None:
        """Nothing has changed yet."""
        self.asked += 1
        if self.refuses:
            raise Overloaded("the journal refuses")
        for file in files:
            file.kept = True

    def record(self, nodes: Sequence[Entry | Box]) -> None:
        """All has changed, and nothing that was stored a moment ago is closed yet."""
        self.records += 1
        for node in nodes:
            now = told(node)
            if now is None:
                self.nodes.pop(node.ino, None)
            else:
                self.nodes[node.ino] = now


class Journalled(Driven):
    """A store with a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = self.store.journal = KnowingJournal(self)

    def refuse(self, refuses: bool) -> None:
        """Have the journal refuse from now on, or not."""
        self.journal.refuses = refuses

    def stored(self) -> dict[int, Told | None]:
        """What the journal ought to know."""
        return {node.ino: told(node) for node in self.store.tree.nodes.values()}


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS | st.tuples(st.just("refuse"), st.booleans()), max_size=25), st.booleans())
def test_the_journal_knows_what_the_store_knows(steps: list[tuple[object, ...]], has_guard: bool) -> None:
    """After every step; one that was refused is in no record, and one that was done is in one, after it was asked."""
    journalled = Journalled()
    if has_guard:
        journalled.store.guard = KnowingGuard(journalled.store)
    journal = journalled.journal
    for step, *arguments in steps:
        before, records, asked = journalled.stored(), journal.records, journal.asked
        try:
            journalled.do(str(step), *arguments)
        except StoreError:
            assert (before, records) == (journalled.stored(), journal.records)
        done = journalled.stored() != before

        assert journalled.stored() == journal.nodes
        assert (int(done), True) == (journal.records - records, journal.asked - asked >= int(done))


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_an_open_file_in_an_entry_is_kept(steps: list[tuple[object, ...]]) -> None:
    """Whichever way it came in."""
    journalled = Journalled()
    for step, *arguments in steps:
        try:
            journalled.do(str(step), *arguments)
        except StoreError:
            continue

        assert {True} >= {file.kept for file in journalled.store_files()}


class Releases(KnowingJournal):
    """Notes what had been released when it was told."""

    def __init__(self, driven: Driven) -> None:
        self.seen: list[list[int]] = []
        super().__init__(driven)

    def record(self, nodes: Sequence[Entry | Box]) -> None:
        """Note it."""
        self.seen.append(list(self._driven.released))
        super().record(nodes)


@pytest.mark.parametrize("loss", ["discard x", "take x", "stash x", "rename y x", "fill x"])
def test_a_file_is_let_go_after_the_record_that_it_is_gone(loss: str) -> None:
    """Otherwise a crash between the two would leave an entry whose file nobody has."""
    driven = Driven()
    journal = driven.store.journal = Releases(driven)
    driven.stash("x", 0)
    driven.stash("y", 1)
    step, *names = loss.split()
    driven.do(step, *names, *([2] if step in ("stash", "fill") else []))

    assert ([], [1]) == (journal.seen[-1], driven.released)


def test_watchers_hear_of_a_change_that_is_recorded() -> None:
    """What they do about it must not come before it is sure."""
    driven = Driven()
    journal = driven.store.journal = KnowingJournal(driven)
    heard: list[tuple[Change, int]] = []

    def listen(event: Event) -> None:
        heard.append((event.change, journal.records))

    driven.store.events.subscribe(0, listen)
    driven.stash("x", 0)
    driven.create("y")
    driven.rename("y", "x")
    driven.discard("x")

    expected = [
        (Change.STASHED, 2),
        (Change.CREATED, 3),
        (Change.DISCARDED, 4),
        (Change.RENAMED, 4),
        (Change.DISCARDED, 5),
    ]
    assert expected == heard


def test_several_puts_are_one_record() -> None:
    """A crash leaves all of a request or nothing of it."""
    driven = Driven()
    journal = driven.store.journal = KnowingJournal(driven)
    driven.stash_two("x", "y", 0, 1)

    assert (2, 3) == (journal.records, len(journal.nodes))
