"""If records are lost, no descriptor is: what no entry leads to gets a name, and all of it is said."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.node import Box, Entry
from fdstorefs.errors import StoreError
from fdstorefs.host import syscalls
from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.keeping import COUNTERS, read
from fdstorefs.server.keeping.memory import read_memory
from fdstorefs.server.keeping.state import NODES
from tests.unit.core.driven import STEPS
from tests.unit.keeping.lives import Kept, NextLife, nodes_of, picture


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A store with an entry and a box with another."""
    kept = Kept()
    kept.do("stash", "a", 0)
    kept.do("make box", "box")
    kept.do("stash", "box/b", 1)
    yield kept
    kept.end()


def in_entries(after: NextLife) -> dict[int, list[str]]:
    """Paths by the number of the open file."""
    found: dict[int, list[str]] = {}
    for path, _, _, node in after.life.store.tree.walk(after.life.store.root):
        if isinstance(node, Entry) and node.file is not None:
            found.setdefault(node.file.number, []).append(path)
    return found


def test_a_descriptor_without_a_name_is_found(kept: Kept) -> None:
    """In a box of the instance's owner, whoever had stashed it."""
    data = bytearray(read_memory(kept.holding.memory))
    data[data.index(b'"box"') + 1] ^= 1
    after = NextLife(bytes(data), kept.holding.copies())

    box = after.life.store.root.children["lost+found"]
    assert isinstance(box, Box)
    (entry,) = box.children.values()
    assert after.restored.damage is not None
    assert [f"lost+found/{entry.ino}"] == after.rebuilt.found
    assert {1: ["a"], 2: [f"lost+found/{entry.ino}"]} == in_entries(after)
    assert [(0, 0o700), (0, 0o600)] == [(node.uid, node.mode) for node in (box, entry)]
    after.end()


def test_what_was_found_is_there_after_the_next_crash_too(kept: Kept) -> None:
    """The damaged journal is not gone on with."""
    data = bytearray(read_memory(kept.holding.memory))
    data[data.index(b'"box"') + 1] ^= 1
    after = NextLife(bytes(data), kept.holding.copies())
    again = NextLife(read_memory(after.holding.memory), after.holding.copies())

    assert (None, []) == (again.restored.damage, again.rebuilt.found)
    assert picture(after.life.store) == picture(again.life.store)
    after.end()
    again.end()


def test_the_name_of_the_box_is_not_somebody_elses(kept: Kept) -> None:
    """Who could choose what is in it could have others take something else for what they lost."""
    kept.do("make box", "lost+found")
    kept.do("stash", "c", 2)
    data = bytearray(read_memory(kept.holding.memory))
    data[data.rindex(b'"c"') + 1] ^= 1
    after = NextLife(bytes(data), kept.holding.copies())
    after.end()

    assert ["lost+found.2"] == [path.partition("/")[0] for path in after.rebuilt.found]


def test_an_entry_whose_file_nobody_has_is_missed(kept: Kept) -> None:
    """Its name is free again, and it is said."""
    held = kept.holding.copies()
    os.close(held.pop(2))
    after = NextLife(read_memory(kept.holding.memory), held)

    assert (["box/b"], {1: ["a"]}) == (after.rebuilt.missing, in_entries(after))
    after.end()


def test_boxes_that_are_in_one_another_are_found() -> None:
    """What is left of a journal may say that; nothing is out of reach for that."""
    common = '"u":1000,"g":1000,"m":448,"c":1,"t":1'
    nodes = f'{{"n":[{{"i":5,{common},"p":[6,"a"]}},{{"i":6,{common},"p":[5,"b"]}},{{"i":7,{common},"P":[[5,"c"]]}}]}}'
    after = NextLife(frames.header(bytes(16), "1") + frames.frame(NODES, 1, nodes.encode()), {})

    paths = [path for path, *_ in after.life.store.tree.walk(after.life.store.root)]
    assert ["lost+found", "lost+found/6", "lost+found/6/a", "lost+found/6/a/c"] == paths
    assert (["lost+found/6"], 4) == (after.rebuilt.found, after.life.store.usage.total)
    after.end()


def test_counters_that_nobody_has_begin_again(kept: Kept) -> None:
    """The store is more than the numbers of its audit log."""
    held = kept.holding.copies()
    os.close(held.pop(COUNTERS))
    kept.keeping.counters.cells[0] = 7
    data = read_memory(kept.holding.memory)
    kept.holding.held.pop(COUNTERS)
    after = NextLife(data, held)

    assert 0 == after.keeping.counters.cells[0]
    after.end()


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=20), st.integers(0, 1 << 20), st.integers(1, 255))
def test_every_descriptor_is_somewhere(steps: list[tuple[object, ...]], place: int, change: int) -> None:
    """Wherever the journal is damaged, and whatever was in it."""
    kept = Kept()
    for step, *arguments in steps:
        try:
            kept.do(str(step), *arguments)
        except StoreError:
            continue
    data = bytearray(read_memory(kept.holding.memory))
    data[place % kept.keeping_end[1]] ^= change
    after = NextLife(bytes(data), kept.holding.copies())
    try:
        files = in_entries(after)
        if after.restored.damage is None:
            # Only a length that leads to nowhere looks like a record that was torn.
            assert after.restored.contents.torn
            return
        assert set(kept.holding.held) - {COUNTERS} == set(files)
        for node in nodes_of(after.life.store):
            if isinstance(node, Entry) and node.file is not None:
                there = kept.holding.held[node.file.number]
                assert syscalls.SAME_FILE == syscalls.same_file_order(node.file.descriptor, there)
        total = sum(1 for _ in nodes_of(after.life.store)) - 1
        assert total == after.life.store.usage.total
        assert None is read(after.keeping.journal_fd).damage
    finally:
        after.end()
        kept.end()
