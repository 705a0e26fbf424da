"""List without `more`: what is found is kept until all is, so a user may have only so many of them under way."""

from typing import Any, cast

import pytest

from fdstorefs.errors import Overloaded
from fdstorefs.server.varlink import listing
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import Call
from tests.unit.core.people import Person
from tests.unit.server.dumped import ROOT, Served, Wire

ADA = Person(1000, 1000)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """A store that takes several turns to list."""
    monkeypatch.setattr(listing, "TURN_SECONDS", -1.0)
    made = Served()
    for number in range(20):
        made.store.make_box(ROOT.subject, made.store.root, str(number))
    return made


def begun(served: Served, who: Person, *, more: bool = False) -> Wire:
    """A List that has begun."""
    wire = Wire(served.turns)
    activity = listing.list_entries(served.context, Call("List", {}, who.subject, [], more=more))
    wire.exchange = Exchange(cast(Any, wire), cast(Any, served.turns), activity)
    wire.exchange.start()
    return wire


def to_the_end(served: Served) -> None:
    """All turns that there are."""
    while served.turns.soon:
        served.turns.soon.popleft()()


def test_one_user_has_so_many(served: Served) -> None:
    """More are refused until one is done; other users, and lists in several replies, are not concerned."""
    wires = [begun(served, ROOT) for _ in range(listing.MOST_AT_A_TIME)]
    with pytest.raises(Overloaded, match="uid 0 has 4 lists in one reply under way"):
        begun(served, ROOT)
    begun(served, ROOT, more=True)
    begun(served, ADA)
    to_the_end(served)
    wires.append(begun(served, ROOT))
    to_the_end(served)

    assert [20] * 5 == [len(wire.said[0][0]["parameters"]["entries"]) for wire in wires]
    assert {} == served.context.lists


def test_one_whose_client_leaves_counts_no_more(served: Served) -> None:
    """What it has found goes with it."""
    for _ in range(2 * listing.MOST_AT_A_TIME):
        wire = begun(served, ROOT)
        assert wire.exchange is not None
        wire.exchange.stop()

    assert {} == served.context.lists
