"""A subject whose uid the instance's user namespace has no number for is nobody's equal."""

import pytest

from fdstorefs.errors import Denied, NoSuchEntry
from tests.unit.enforcement.governed import ALL, Governed, User, policy

OVERFLOW = 65534


@pytest.fixture
def stranger() -> User:
    """Somebody whom the kernel shows with the overflow id."""
    return User(OVERFLOW, known=False)


def test_no_rule_for_a_uid_allows_him_anything(stranger: User) -> None:
    """Nor one for the overflow id itself: two strangers would look alike."""
    governed = Governed(policy(f"allow actions: [all], subject: {{uid: [{OVERFLOW}]}}"))

    with pytest.raises(Denied):
        governed.stash(stranger, "x")


def test_every_rule_that_forbids_a_uid_forbids_him(stranger: User, ada: User) -> None:
    """He might be the one it is about."""
    governed = Governed(policy(ALL))
    governed.stash(ada, "x")
    governed.adopt(policy(ALL, "forbid actions: [list], subject: {uid: [7]}"))

    assert ["x"] == governed.shown(ada)
    assert [] == governed.shown(stranger)


def test_he_is_not_the_stasher_of_what_strangers_stash(stranger: User) -> None:
    """By default he can't even stash: it could not be told to be his."""
    governed = Governed(policy(ALL))
    governed.stash(stranger, "x")
    governed.adopt()

    with pytest.raises(NoSuchEntry):
        governed.store.retrieve_many(stranger.subject, ["x"])
    with pytest.raises(Denied):
        governed.stash(stranger, "y")


def test_what_is_not_about_uids_holds_for_him(stranger: User) -> None:
    """Not knowing one thing of him is not knowing nothing."""
    governed = Governed(policy("allow actions: [all], subject: {userns: same}"))
    governed.stash(stranger, "x")

    assert governed.store.retrieve_many(stranger.subject, ["x"])
