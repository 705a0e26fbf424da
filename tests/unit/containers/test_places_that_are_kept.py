"""How many places each may have at the service, and which are kept for root and for servers."""

import pytest

from fdstorefs.containers.places import Bounds, Kind, Places, Standing
from fdstorefs.errors import Overloaded

ROOT, SERVER, OTHER_SERVER = Standing(Kind.ROOT, 0), Standing(Kind.SERVER, 7), Standing(Kind.SERVER, 8)
ONE, ANOTHER, USER = Standing(Kind.CONTAINER, 1), Standing(Kind.CONTAINER, 2), Standing(Kind.USER, 1)


@pytest.fixture
def places() -> Places:
    """Two for each, one for each server, four for all but root and servers."""
    of_one = {Kind.CONTAINER: 2, Kind.USER: 2, Kind.SERVER: 1}
    return Places(Bounds(of_one, 4, frozenset({Kind.ROOT, Kind.SERVER})))


def fill(places: Places, *standings: Standing) -> None:
    """Take two places for each."""
    for standing in standings:
        places.take(standing)
        places.take(standing)


def test_nobody_has_more_than_his_own(places: Places) -> None:
    """A container is one, and another and a user of the same number have theirs."""
    fill(places, ONE)
    with pytest.raises(Overloaded, match="namespace 1"):
        places.require(ONE)
    places.require(ANOTHER)
    places.require(USER)


def test_what_is_kept_is_there_when_others_have_all(places: Places) -> None:
    """Root as often as it likes, a server once."""
    fill(places, ONE, ANOTHER, ROOT, ROOT)
    with pytest.raises(Overloaded, match="others than root"):
        places.require(USER)
    places.require(ROOT)
    places.require(SERVER)


def test_a_server_has_one_of_those(places: Places) -> None:
    """Somebody else may have taken it over, and then others are to have theirs."""
    places.take(SERVER)
    with pytest.raises(Overloaded):
        places.require(SERVER)
    places.require(OTHER_SERVER)


def test_what_is_given_back_is_another_s(places: Places) -> None:
    """And is counted nowhere any more."""
    fill(places, ONE, ANOTHER)
    places.give_back(ANOTHER)

    assert places.over(USER, 1) is None
    assert places.over(ANOTHER, 1) is None
    assert places.over(ONE, 1) is not None


def test_of_whom_has_too_many_one_of_his_own_goes(places: Places) -> None:
    """Not one of others, who have as many as they may."""
    fill(places, ONE)
    places.take(ONE)

    assert [True, False, False, False] == [places.gives_way(ONE, each) for each in (ONE, ANOTHER, USER, ROOT)]


def test_where_all_have_too_many_none_goes_that_is_kept(places: Places) -> None:
    """Of root and the servers."""
    fill(places, ONE, ANOTHER)
    places.take(USER)

    assert [True, True, False, False] == [places.gives_way(USER, each) for each in (ONE, USER, ROOT, SERVER)]
