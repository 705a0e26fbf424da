"""A list goes on behind what has been said, whatever there is, and wherever it was."""

import json
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.access import Target
from fdstorefs.core.node import Box
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.server.record import Records
from fdstorefs.server.shares import Counts
from fdstorefs.server.varlink import listing
from fdstorefs.server.varlink.listing import Listing, rest_of
from fdstorefs.server.varlink.reply import Reply

NAMES = st.sampled_from(["a", "a!", "a-", "aa", "b", "\udc80"])
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=20)
BOX = Box(1, 0, 0, 0, 0, 0)


def walk(paths: list[str], closed: list[bool]) -> Generator[tuple[str, Target | None]]:
    """As a store walks: sorted by the parts of paths, and with pauses."""
    try:
        for path in paths:
            yield "", None
            yield path, Target(BOX, path)
    finally:
        closed.append(True)


@given(PATHS, st.data())
def test_the_rest_comes(found: set[tuple[str, ...]], data: st.DataObject) -> None:
    """What has been said and the rest are all, each once; and the walk is closed."""
    # In a box there is something only if there is the box.
    parts = {part[:end] for part in found for end in range(1, len(part) + 1)}
    paths = ["/".join(part) for part in sorted(parts)]
    count = data.draw(st.integers(0, len(paths)))
    said = paths[:count]
    closed: list[bool] = []
    rest = [path for path, target in rest_of(said[-1] if said else "", walk(paths, closed)) if target]

    assert (paths, [True]) == (said + rest, closed)


class Caller:
    """An exchange with somebody who reads at once; it goes on one turn at a time."""

    backlog = 0

    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_over = False
        self.next: list[Callable[[], None]] = []

    def say(self, reply: Reply) -> None:
        """One of several."""
        self.names += [entry["name"] for entry in json.loads(reply.data[:-1])["parameters"]["entries"]]

    def finish(self, reply: Reply) -> None:
        """The last."""
        self.say(reply)
        self.is_over = True

    def soon(self, function: Callable[[], None]) -> None:
        """In the next turn."""
        self.next.append(function)

    def go_on(self, turns: int = 1 << 30) -> None:
        """So many turns at most."""
        while self.next and turns:
            self.next.pop()()
            turns -= 1


def store_of(count: int) -> tuple[Any, list[str]]:
    """A context with so many entries, and their names."""
    store = Store(uid=0, gid=0, clock=lambda: 0)
    names = [f"{number:03}" for number in range(count)]
    for name in names:
        store.create(Subject(0, 0), store.root, name)
    return SimpleNamespace(store=store, records=Records(store), lists=Counts()), names


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 5, 11])
def test_wherever_it_stops(monkeypatch: pytest.MonkeyPatch, turns: int, more: bool) -> None:
    """What one server has said and the other says is all, each once: also what was found and not said."""
    monkeypatch.setattr(listing, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(listing, "BATCH_BYTES", 4000)
    context, names = store_of(100)
    first, other = Caller(), Caller()
    one, two = (Listing(context, Subject(0, 0), None, False, more) for _ in range(2))
    one.start(first)  # type: ignore[arg-type]  # all of an exchange that it takes
    first.go_on(turns)
    told = json.loads(json.dumps(one.told()))
    two.resume(other, told)  # type: ignore[arg-type]
    other.go_on()

    assert (names, True, False) == (first.names + other.names, other.is_over, first.is_over)
