"""Open directories keep what they show, so each user may have only so many, and so much in them."""

import errno

import pytest

from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import QuotaExceeded
from fdstorefs.server.fuse import listing
from fdstorefs.server.fuse.listing import Listing, Listings
from fdstorefs.server.fuse.own_sockets import OwnSockets


@pytest.fixture
def store() -> Store:
    """A store with a root box."""
    return Store(uid=0, gid=0, clock=lambda: 0)


def opened(store: Store, uid: int, names: int = 2) -> Listing:
    """A directory that a user has opened."""
    return Listing(Subject(uid, uid), store.root, [(f"n{number}", store.root) for number in range(names)])


def test_a_user_may_have_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is closed, and another can be opened; other users are not concerned."""
    monkeypatch.setattr(listing, "OPEN_PER_UID", 2)
    listings = Listings()
    first = listings.add(opened(store, 1))
    listings.add(opened(store, 1))
    with pytest.raises(QuotaExceeded, match="directories open") as told:
        listings.add(opened(store, 1))
    listings.add(opened(store, 2))
    listings.close(first)
    listings.close(first)

    assert errno.EDQUOT == told.value.errno
    assert 1 == listings.get(listings.add(opened(store, 1))).subject.uid


def test_names_count_but_one_directory_can_always_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is."""
    monkeypatch.setattr(listing, "NAMES_PER_UID", 10)
    listings = Listings()
    large = listings.add(opened(store, 1, 20))
    with pytest.raises(QuotaExceeded, match="directories open"):
        listings.add(opened(store, 1, 1))
    listings.close(large)
    listings.add(opened(store, 1, 5))

    assert 5 == len(listings.get(listings.add(opened(store, 1, 5))).items)


def test_what_is_listed_again_counts_as_it_is_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories that were opened before there was much in them hold no more; nor is one kept from being read."""
    monkeypatch.setattr(listing, "NAMES_PER_UID", 10)
    listings, root, sockets = Listings(), Subject(0, 0), OwnSockets()
    numbers = [listings.add(Listing(root, store.root, [])) for _ in range(2)]
    first, second = map(listings.get, numbers)
    for number in range(5):
        store.make_box(root, store.root, str(number))
    listings.refresh(first, store, sockets)
    with pytest.raises(QuotaExceeded, match="14 of 10 names"):
        listings.refresh(second, store, sockets)
    kept = len(second.items)
    listings.close(numbers[0])
    listings.refresh(second, store, sockets)

    assert (0, 7) == (kept, len(second.items))
