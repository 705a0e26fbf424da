"""What the kernel does not guard is known not to be guarded; a policy can refuse to keep or to deliver it."""

import pytest

from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.errors import Denied
from tests.unit.enforcement.governed import ADA, ALL, Governed, User, policy

ada = User(ADA)
GUARDED_ONLY = policy(ALL, "forbid actions: [stash], guarded: false")
DELIVERED_IF_GUARDED = policy("allow actions: [stash, list]", "allow actions: [retrieve], guarded: true")


def stash(governed: Governed, path: str, *, guarded: bool) -> Entry:
    """Stash a file that the kernel guards, or doesn't."""
    file = governed.files()
    file.guarded = guarded
    entry, _ = governed.store.stash(ada.subject, path, file, ada.stasher, mode=0o666, replace=True)
    return entry


def test_a_file_is_not_guarded_unless_somebody_says_so() -> None:
    """As under daemon enforcement, where nobody does."""
    assert OpenFile(3, "pipe").guarded is False


def test_what_is_not_guarded_is_not_kept() -> None:
    """Neither under a new name nor in an empty entry; a box and an empty entry hold nothing to guard."""
    governed = Governed(GUARDED_ONLY)
    governed.make_box(ada, "box")
    governed.create(ada, "box/empty")
    for path in ("box/new", "box/empty"):
        with pytest.raises(Denied):
            stash(governed, path, guarded=False)
        stash(governed, path, guarded=True)

    assert ["box", "box/empty", "box/new"] == sorted(governed.shown(ada))


def test_what_is_not_guarded_is_not_delivered() -> None:
    """It can be stashed all the same."""
    governed = Governed(DELIVERED_IF_GUARDED)
    for path, guarded in (("a", True), ("b", False)):
        stash(governed, path, guarded=guarded)

    governed.store.retrieve_many(ada.subject, ["a"])
    with pytest.raises(Denied):
        governed.store.retrieve_many(ada.subject, ["b"])


def test_the_record_says_whether_a_file_is_guarded() -> None:
    """And nothing of what holds no file."""
    governed = Governed(policy(ALL))
    governed.create(ada, "empty")
    governed.make_box(ada, "box")
    for path, guarded in (("a", True), ("b", False)):
        stash(governed, path, guarded=guarded)

    assert [("empty", None), ("box", None), ("a", True), ("b", False)] == [
        (one.entry.name, one.entry.guarded) for one in governed.log.decisions if one.action == "stash"
    ]


def test_a_denial_for_want_of_a_guard_is_explained() -> None:
    """The condition is among those that failed."""
    governed = Governed(DELIVERED_IF_GUARDED)
    stash(governed, "a", guarded=False)
    with pytest.raises(Denied):
        governed.store.retrieve_many(ada.subject, ["a"])

    assert ("e1: guarded is false, not true",) == tuple(governed.log.decisions[-1].failed)
