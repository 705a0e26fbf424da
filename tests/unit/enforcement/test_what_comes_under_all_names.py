"""What is stashed into an entry with several names comes under all of them, and must be allowed under each."""

import pytest

from fdstorefs.errors import Denied
from tests.unit.enforcement.governed import ALL, BOB, Governed, User, policy

ONLY_SOCKETS = policy(
    ALL,
    "forbid actions: [stash], entries: ['sockets/**'], unless: {kinds: [socket, empty, box]}",
    "forbid actions: [stash], entries: ['sockets/**'], labels: [other]",
)


def linked(ada: User) -> Governed:
    """A store with an empty entry that is called `x` and `sockets/x`."""
    governed = Governed(ONLY_SOCKETS)
    governed.make_box(ada, "sockets")
    governed.create(ada, "x")
    governed.link(ada, "x", "sockets/x")
    governed.noted()
    return governed


def test_a_link_is_no_way_around_what_may_be_stashed(ada: User) -> None:
    """By path or through a handle on the entry: not under the name that allows it either."""
    governed = linked(ada)
    entry = governed.store.root.children["x"]

    with pytest.raises(Denied) as told:
        governed.stash(ada, "x", "memfd")
    assert "sockets" not in str(told.value)
    with pytest.raises(Denied):
        governed.store.fill(ada.subject, entry, governed.files(kind="memfd"), ada.stasher)  # type: ignore[arg-type]
    assert "empty" == entry.kind
    governed.stash(ada, "x", "socket")
    assert "socket" == entry.kind


def test_nor_around_what_a_label_may_say(ada: User) -> None:
    """The label is the entry's, whatever name it is set by."""
    governed = linked(ada)
    governed.adopt(
        ONLY_SOCKETS, policy(f"allow actions: [describe], subject: {{uid: [{BOB}]}}", mode="monitor")
    )
    entry = governed.store.root.children["x"]

    with pytest.raises(Denied):
        governed.store.set_label(ada.subject, entry, "other")  # type: ignore[arg-type]
    governed.store.set_label(ada.subject, entry, "fine")  # type: ignore[arg-type]
    assert "fine" == entry.label  # type: ignore[union-attr]


def test_the_other_names_are_on_record_only_if_they_are_denied(ada: User) -> None:
    """One record for the request, and one for what refused it."""
    governed = linked(ada)
    with pytest.raises(Denied):
        governed.stash(ada, "x", "memfd")

    assert [
        ("stash", "x", "allow", "rule"),
        ("stash", "sockets/x", "deny", "forbidden"),
    ] == governed.noted()


@pytest.mark.parametrize("how", ["link", "stash"])
def test_what_is_forbidden_under_any_name_is_not_retrieved(how: str, ada: User) -> None:
    """Whether the other name is a link or the same open file stashed again."""
    governed = Governed(policy(ALL))
    entry = governed.stash(ada, "x")
    if how == "link":
        governed.link(ada, "x", "secret")
    else:
        assert entry.file is not None
        governed.store.stash(ada.subject, "secret", entry.file, ada.stasher)
        governed.store.stash(ada.subject, "secret", entry.file, ada.stasher, replace=True)
    governed.adopt(policy(ALL, "forbid actions: [retrieve], entries: [secret]"))

    with pytest.raises(Denied):
        governed.store.retrieve_many(ada.subject, ["x"])
    governed.store.discard_many(ada.subject, ["secret"])
    assert governed.store.retrieve_many(ada.subject, ["x"])


def test_what_is_allowed_under_any_name_is_retrieved_under_each_that_is_seen(ada: User, bob: User) -> None:
    """What is delivered is the file; but a take takes a name away, and needs to be allowed that one."""
    governed = Governed(policy(ALL))
    governed.stash(ada, "x")
    governed.link(ada, "x", "open")
    governed.adopt(policy("allow actions: [retrieve, take], entries: [open]", "allow actions: [list]"))

    assert governed.store.retrieve_many(bob.subject, ["x"])
    with pytest.raises(Denied):
        governed.store.take_many(bob.subject, ["x"])
    governed.store.take_many(bob.subject, ["open"])


def test_a_label_that_stays_counts(ada: User, bob: User) -> None:
    """Replaced without a label, an entry keeps the one it has: whoever may not give it may not stash under it."""
    governed = Governed(policy(ALL))
    entry = governed.stash(ada, "x", label="trusted")
    before = entry.file
    governed.adopt(
        policy(ALL, f"forbid actions: [stash], labels: [trusted], unless: {{subject: {{uid: [{ada.uid}]}}}}")
    )

    with pytest.raises(Denied):
        governed.stash(bob, "x")
    assert before is entry.file
    governed.stash(bob, "x", label="other")
    assert "other" == entry.label


@pytest.mark.parametrize("way", ["stash", "fill"])
def test_replacing_discards_under_all_names(way: str, ada: User) -> None:
    """What may not be discarded under one name isn't replaced under another."""
    governed = Governed(policy(ALL))
    governed.make_box(ada, "vault")
    entry = governed.stash(ada, "x")
    governed.link(ada, "x", "vault/x")
    before = entry.file
    governed.adopt(policy(ALL, "forbid actions: [discard], entries: ['vault/**']"))
    governed.noted()

    with pytest.raises(Denied) as told:
        if way == "stash":
            governed.stash(ada, "x")
        else:
            governed.store.fill(ada.subject, entry, governed.files(), ada.stasher)
    assert "vault" not in str(told.value)
    assert ("discard", "vault/x", "deny", "forbidden") in governed.noted()
    assert before is entry.file


@pytest.mark.parametrize("way", ["stash", "fill"])
@pytest.mark.parametrize("trusted", ["ada", "bob"])
def test_filling_takes_what_maker_and_filler_may(way: str, trusted: str, ada: User, bob: User) -> None:
    """The filler is the stasher from then on; the name is one that the maker got."""
    governed = Governed(policy(ALL))
    entry = governed.create(ada, "x")
    uid = {"ada": ada, "bob": bob}[trusted].uid
    governed.adopt(
        policy(ALL, f"forbid actions: [stash], kinds: [pipe], unless: {{stasher: {{uid: [{uid}]}}}}")
    )
    governed.noted()

    with pytest.raises(Denied):
        if way == "stash":
            governed.stash(bob, "x")
        else:
            governed.store.fill(bob.subject, entry, governed.files(), bob.stasher)
    assert [("stash", "x", "deny", "forbidden")] == governed.noted()
    assert entry.file is None
    governed.adopt(policy(ALL))
    governed.stash(bob, "x")
    assert entry.stasher is bob.stasher
