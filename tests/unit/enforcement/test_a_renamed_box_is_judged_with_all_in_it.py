"""To rename a box is to rename all that is in it, so the policy is asked about all of it."""

import pytest

from fdstorefs.errors import Denied
from tests.unit.enforcement.governed import ADA, ALL, BOB, Governed, User, policy

PUBLIC = f"allow actions: [retrieve, list], entries: ['public/**'], subject: {{uid: [{BOB}]}}"
OWN = f"allow actions: [all], subject: {{uid: [{ADA}]}}, stasher: {{uid: same}}"


def boxed(ada: User, *texts: str) -> Governed:
    """A store with ada's box `secret`, in which `key` and `deep/key` are hers."""
    governed = Governed(policy(ALL))
    for name in ("secret", "secret/deep"):
        governed.make_box(ada, name)
    for name in ("secret/key", "secret/deep/key"):
        governed.stash(ada, name)
    governed.adopt(*texts)
    governed.noted()
    return governed


def test_what_is_moved_to_where_others_reach_it_must_be_allowed_there(ada: User, bob: User) -> None:
    """The attack: what may not be stashed under `public` comes there by renaming the box around it."""
    governed = boxed(ada, policy(OWN, PUBLIC, "forbid actions: [stash], entries: ['public/**/key']"))
    with pytest.raises(Denied) as told:
        governed.rename(ada, "secret", "public")

    assert "secret" == told.value.name
    assert "key" not in told.value.message
    assert ["secret", "secret/deep", "secret/deep/key", "secret/key"] == governed.shown(ada)
    assert [] == governed.shown(bob)
    assert ("stash", "public/deep/key", "deny", "forbidden") in governed.noted()


def test_what_others_keep_in_it_stays(ada: User, bob: User) -> None:
    """A box may be ada's and an entry in it bob's: she may not take it along, nor learn of it."""
    governed = boxed(ada, policy(ALL))
    governed.stash(bob, "secret/bobs")
    governed.adopt(policy(OWN))
    governed.noted()
    with pytest.raises(Denied) as told:
        governed.rename(ada, "secret", "other")

    assert "bobs" not in str(told.value)
    assert (None, None) == (told.value.reason, told.value.decision)
    assert [
        ("rename", "secret", "allow", "rule"),
        ("rename", "secret/bobs", "deny", "no-rule"),
    ] == governed.noted()


def test_it_goes_where_all_of_it_is_allowed(ada: User, bob: User) -> None:
    """And then it is judged under its new name."""
    governed = boxed(ada, policy(OWN, PUBLIC))
    assert [] == governed.shown(bob)
    governed.rename(ada, "secret", "public")

    assert ["public", "public/deep", "public/deep/key", "public/key"] == governed.shown(bob)
    assert governed.store.retrieve_many(bob.subject, ["public/deep/key"])


def test_a_box_above_counts_as_much(ada: User, bob: User) -> None:
    """Boxes below the one that is renamed are judged at their new places too."""
    governed = boxed(ada, policy(OWN, PUBLIC, "forbid actions: [stash], entries: ['*/deep'], kinds: [box]"))
    governed.adopt(policy(OWN, PUBLIC, "forbid actions: [stash], entries: ['public/deep'], kinds: [box]"))
    with pytest.raises(Denied):
        governed.rename(ada, "secret", "public")

    governed.rename(ada, "secret", "elsewhere")
    assert [] == governed.shown(bob)
