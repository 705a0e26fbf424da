"""Whatever was done with a store, and wherever its server is killed: what was answered is there, and nothing else."""

import os
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.node import Entry
from fdstorefs.core.store import Store
from fdstorefs.errors import StoreError
from fdstorefs.host import syscalls
from fdstorefs.server.keeping import compaction, keeping
from fdstorefs.server.keeping.memory import read_memory
from tests.unit.core.driven import STEPS
from tests.unit.keeping.lives import Kept, NextLife, nodes_of, picture

KEPT_STEPS = st.one_of(
    STEPS,
    STEPS,
    st.tuples(st.just("refuse"), st.booleans()),
    st.tuples(st.just("idle")),
)


@pytest.fixture(params=[100, 1 << 20], ids=["written anew often", "written anew never"])
def slack(request: pytest.FixtureRequest) -> Iterator[None]:
    """How soon a journal is written anew, and how little at a time."""
    with mock.patch.object(keeping, "SLACK", request.param), mock.patch.object(compaction, "AT_ONCE", 2):
        yield


def same_files(store: Store, held: dict[int, int]) -> bool:
    """Whether each entry has the open file that the keeper has under its number."""
    files = {node.file for node in nodes_of(store) if isinstance(node, Entry) and node.file is not None}
    return all(
        syscalls.same_file_order(file.descriptor, held[file.number]) == syscalls.SAME_FILE for file in files
    )


def numbers(store: Store) -> set[int]:
    """The numbers of open files that are in entries."""
    return {node.file.number for node in nodes_of(store) if isinstance(node, Entry) and node.file is not None}


def run(kept: Kept, steps: list[tuple[object, ...]]) -> dict[int, tuple[object, ...]]:
    """Do all these; after each the keeper has what is in entries, and nothing else. What was there before the last."""
    before = picture(kept.store)
    for step, *arguments in steps:
        before = picture(kept.store)
        try:
            kept.do(str(step), *arguments)
        except StoreError:
            assert before == picture(kept.store)
        assert numbers(kept.store) | {keeping.COUNTERS} == set(kept.holding.held)
    return before


def crash(expected: dict[int, tuple[object, ...]], data: bytes, held: dict[int, int]) -> None:
    """Have another server go on with this."""
    after = NextLife(data, held)
    try:
        store, usage = after.life.store, after.life.store.usage
        assert (None, [], []) == (after.restored.damage, after.rebuilt.missing, after.rebuilt.found)
        assert expected == picture(store)
        assert same_files(store, after.holding.held)
        # What nobody was told of is neither kept on nor open.
        assert numbers(store) | {keeping.COUNTERS} == set(after.holding.held)
        assert len(numbers(store)) == after.life.intake.files == after.life.descriptors.open_count
        owners = [node.uid for node in nodes_of(store) if node is not store.root]
        assert (len(owners), owners.count(1000)) == (usage.total, usage.of(1000))
    finally:
        after.end()


@pytest.mark.usefixtures("slack")
def test_between_two_operations() -> None:
    """The store is as it was."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(KEPT_STEPS, max_size=25))
    def check(steps: list[tuple[object, ...]]) -> None:
        kept = Kept()
        try:
            run(kept, steps)
            crash(picture(kept.store), read_memory(kept.holding.memory), kept.holding.copies())
        finally:
            kept.end()

    check()


@pytest.mark.usefixtures("slack")
def test_within_a_record() -> None:
    """The store is as before the operation, of which nobody was told."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(KEPT_STEPS, max_size=20), st.integers(0, 1 << 16))
    def check(steps: list[tuple[object, ...]], cut: int) -> None:
        kept = Kept()
        try:
            before = run(kept, steps)
            memory, start = kept.before_last
            now, end = kept.keeping_end
            if memory != now or start == end:
                return
            data = read_memory(kept.holding.memory)
            at = start + cut % (end - start)
            torn = data[:at] + bytes(len(data) - at)
            crash(before, torn, kept.holding.copies(before_the_last_record=True))
        finally:
            kept.end()

    check()


@settings(max_examples=60, deadline=None)
@given(st.lists(KEPT_STEPS, max_size=15), st.lists(KEPT_STEPS, max_size=15))
def test_again_and_again(first: list[tuple[object, ...]], then: list[tuple[object, ...]]) -> None:
    """A store that was built again goes on as any other, and so does the next."""
    kept = Kept()
    run(kept, first)
    after = NextLife(read_memory(kept.holding.memory), kept.holding.copies())
    kept.end()
    other = Kept()
    other.keeping.close()
    other.holding.close()
    other.life, other.store, other.holding, other.keeping = (
        after.life,
        after.life.store,
        after.holding,
        after.keeping,
    )
    other.holding.memory = os.dup(after.keeping.journal_fd)
    try:
        run(other, then)
        crash(picture(other.store), read_memory(other.holding.memory), other.holding.copies())
    finally:
        other.end()
