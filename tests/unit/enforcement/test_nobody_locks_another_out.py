"""One open file, stashed by several: nobody takes away what another stashed, and nobody gets what is forbidden."""

import pytest

from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.errors import Denied, StoreError
from tests.unit.enforcement.governed import ALL, Governed, User, in_child, policy

SECRETS_STAY = policy(ALL, "forbid actions: [retrieve, take], entries: ['secret/**']")


def file_of(entry: Entry) -> OpenFile:
    """What an entry holds."""
    assert entry.file is not None
    return entry.file


@pytest.mark.parametrize("way", ["retrieve", "take"])
@pytest.mark.parametrize("who", ["another", "below"])
def test_by_default_each_gets_what_he_stashed(way: str, who: str, ada: User, bob: User) -> None:
    """Whoever else has stashed the same open file, under whatever name, before or after."""
    governed, other = Governed(), bob if who == "another" else in_child(ada)
    file = file_of(governed.stash(ada, "a"))
    governed.store.stash(other.subject, "zz", file, other.stasher, mode=0o666)
    deliver = governed.store.retrieve_many if way == "retrieve" else governed.store.take_many

    for user, own, strange in ((ada, "a", "zz"), (other, "zz", "a")):
        with pytest.raises(StoreError):
            deliver(user.subject, [strange])
        assert [file] == deliver(user.subject, [own])


@pytest.mark.parametrize("way", ["retrieve", "take"])
@pytest.mark.parametrize("first", ["a", "secret/b"])
def test_a_forbidden_name_binds_whoever_gave_it(way: str, first: str, ada: User, bob: User) -> None:
    """The file stays forbidden under a name that isn't, also where somebody else stashed it under the other."""
    governed = Governed(policy(ALL))
    governed.make_box(bob, "secret")
    stashers = {"a": ada, "secret/b": bob}
    file = file_of(governed.stash(stashers.pop(first), first))
    for path, user in stashers.items():
        governed.store.stash(user.subject, path, file, user.stasher, mode=0o666)
    governed.adopt(SECRETS_STAY)
    deliver = governed.store.retrieve_many if way == "retrieve" else governed.store.take_many

    for user in (ada, bob):
        with pytest.raises(Denied, match="forbidden by `e1`"):
            deliver(user.subject, ["a"])
    governed.store.discard_many(bob.subject, ["secret/b"])
    assert [file] == deliver(ada.subject, ["a"])


def test_another_name_counts_with_the_stasher_of_the_one_asked_for(ada: User, bob: User) -> None:
    """What a rule says of a name and a stasher together binds him whose entry is asked for."""
    governed = Governed(policy(ALL))
    governed.make_box(bob, "secret")
    file = file_of(governed.stash(ada, "a"))
    governed.store.stash(bob.subject, "secret/b", file, bob.stasher)
    governed.adopt(policy(ALL, f"forbid actions: [retrieve], entries: [a], stasher: {{uid: [{bob.uid}]}}"))

    assert [file] == governed.store.retrieve_many(ada.subject, ["a"])
    with pytest.raises(Denied):
        governed.store.retrieve_many(bob.subject, ["secret/b"])
