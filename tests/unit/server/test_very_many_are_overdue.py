"""However many entries are due in one moment, the loop has time for others in between."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.intake import Intake
from fdstorefs.server.lapsing.lapses import AT_ONCE, Lapses
from fdstorefs.server.loop import Loop
from tests.unit.core.conftest import ada, files, make_store, store  # noqa: F401  pytest finds them by their names
from tests.unit.core.people import Files, Person
from tests.unit.core.test_entries_that_go_by_themselves import stash

COUNT = 5 * AT_ONCE


class Names:
    """In place of the audit log: what has gone, in order."""

    def __init__(self) -> None:
        self.gone: list[str] = []

    def event(self, _kind: object, *, entry: Any, **_more: object) -> None:
        self.gone.append(entry.name)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that does one turn at a time."""
    made = Loop()
    yield made
    made.close()


def turn(loop: Loop) -> None:
    """What is ready now."""
    loop.call_soon(loop.stop)
    loop.run()


@pytest.mark.parametrize("after", ["a restart", "an unsealing"])
def test_some_go_in_each_turn(
    loop: Loop,
    store: Store,  # noqa: F811
    ada: Person,  # noqa: F811
    files: Files,  # noqa: F811
    after: str,
) -> None:
    """The oldest first, and whoever asks for one in between doesn't find it."""
    descriptors = Descriptors()
    intake, names = Intake(descriptors, RecursionGuard(None, os.getpid(), descriptors), limit=1024), Names()
    box = store.make_box(ada.subject, store.root, "box")
    for number in reversed(range(COUNT)):
        stash(store, ada, f"box/{number:04}", files, expires=1 + number)
    if after == "an unsealing":
        store.seal(ada.subject, box)
    lapses = Lapses(loop, store, intake, names)  # type: ignore[arg-type]
    lapses.begin()
    if after == "an unsealing":
        for _ in range(COUNT):
            turn(loop)
        assert [] == names.gone
        store.seal(ada.subject, box, sealed=False)
    first = len(names.gone)
    shown = store.names(ada.subject, box)
    turn(loop)
    second = len(names.gone)
    for _ in range(COUNT):
        turn(loop)
    lapses.close()

    assert (AT_ONCE, []) == (first, shown)
    assert first < second <= 3 * AT_ONCE
    assert [f"box/{number:04}" for number in range(COUNT)] == names.gone
