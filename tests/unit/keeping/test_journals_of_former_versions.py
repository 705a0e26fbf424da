"""A journal of every format that there ever was is read, and gone on with; it is written anew in the present format."""

import os
from pathlib import Path

import pytest

from fdstorefs import __version__
from fdstorefs.core.node import Box, Entry
from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.frames import read_frames
from fdstorefs.server.keeping.keeping import Keeping, read
from fdstorefs.server.keeping.memory import STEP, read_memory
from tests.unit.keeping.lives import Holding, Life

JOURNALS = Path(__file__).parent / "journals"


@pytest.fixture(params=[1])
def journal(request: pytest.FixtureRequest) -> int:
    """A memfd with a journal of this format, as a server of then has left it."""
    memory = os.memfd_create("journal")
    os.write(memory, (JOURNALS / f"format-{request.param}.journal").read_bytes())
    os.ftruncate(memory, STEP)
    return memory


def resumed(journal: int, *, waits: bool = False) -> tuple[Life, Keeping, Holding]:
    """The next life of that store; it `waits` until the former server leaves it the journal."""
    life, line = Life(), Holding()
    held = {number: os.memfd_create(f"{number}") for number in (1, 2)} | {0: os.memfd_create("counters")}
    os.truncate(held[0], 4096)
    keeping, _ = Keeping.resume(line, read(journal), held, life.store, life.intake)
    if waits:
        keeping.wait()
    keeping.attach(life.store, life.intake, life.idle.append)
    return life, keeping, line


def paths(box: Box) -> set[str]:
    """All that is in it."""
    found = set()
    for node in box.children.values():
        if isinstance(node, Box):
            found |= {node.path, *paths(node)}
        elif isinstance(node, Entry):
            found |= {f"{place.path}/{name}" if place.path else name for place, name in node.places}
    return found


def test_it_is_read(journal: int) -> None:
    """Entries, links, boxes, what is sealed, what is empty, and the facts of the instance."""
    life, keeping, line = resumed(journal)
    box = life.store.root.children["box"]

    assert {"first", "empty", "box", "box/again", 'box/ö "x"'} == paths(life.store.root)
    assert isinstance(box, Box)
    assert box.sealed
    assert "first" in {name for _, name in box.children["again"].places}  # type: ignore[union-attr]
    assert {"started", "records", "audit", "policy"} == set(read(journal).facts)
    keeping.close()
    line.close()


def test_nothing_is_written_while_another_server_writes(journal: int) -> None:
    """Who goes on with it later finds every record of its own at the end of those that came meanwhile."""
    _, keeping, line = resumed(journal, waits=True)
    keeping.remember(started=1)
    before = read_frames(read_memory(journal))
    keeping.go_on()
    after = read_frames(read_memory(journal))

    assert (12, 14) == (before.sequence, after.sequence)
    assert (1, "", None) == (after.major, after.writer, after.damage)
    keeping.close()
    line.close()


def test_it_is_written_anew_by_whoever_serves(journal: int) -> None:
    """In the present format, with the version that has begun it; and it says the same."""
    life, keeping, line = resumed(journal)
    before = read(journal).state.nodes
    while life.idle:
        life.rest()
    after = read(line.memory)

    assert (frames.MAJOR, __version__) == (after.contents.major, after.contents.writer)
    assert before == after.state.nodes
    keeping.close()
    line.close()
