"""An entry that may not be listed doesn't exist for that subject, whatever it tries."""

from collections.abc import Callable

import pytest

from fdstorefs.core.access import Target
from fdstorefs.core.limits import Limits
from fdstorefs.errors import Denied, EntryExists, NoSuchEntry, NotEmpty, QuotaExceeded, StoreError
from tests.unit.enforcement.governed import ALL, BOB, Governed, Noted, User, policy

HIDING = policy(
    ALL, f"forbid actions: [list], entries: ['hidden*', 'box/hidden*'], subject: {{uid: [{BOB}]}}"
)
Operation = Callable[[Governed, User, str], object]


def prepared(*texts: str, limits: Limits | None = None) -> Governed:
    """A store with much of ada's that bob may not know of. `seen` is his to see."""
    governed, ada = Governed(policy(ALL), limits=limits), User(1000)
    governed.stash(ada, "hidden")
    governed.make_box(ada, "hidden box")
    governed.make_box(ada, "box")
    governed.stash(ada, "box/hidden")
    governed.create(ada, "hidden empty")
    governed.stash(ada, "seen")
    governed.adopt(*texts or (HIDING,))
    governed.noted()
    return governed


def told_by(
    governed: Governed, operation: Operation, user: User, name: str
) -> tuple[type[object], str, object]:
    """What an operation on a name says, with the name left out of it."""
    with pytest.raises(StoreError) as told:
        operation(governed, user, name)
    error = told.value
    return type(error), error.message.replace(name, "NAME"), (error.hint, error.reason)


BY_NAME: dict[str, Operation] = {
    "lookup": lambda g, u, n: g.store.lookup(u.subject, g.store.root, n),
    "retrieve": lambda g, u, n: g.store.retrieve_many(u.subject, [n]),
    "take": lambda g, u, n: g.store.take_many(u.subject, ["seen", n]),
    "discard": lambda g, u, n: g.store.discard_many(u.subject, [n]),
    "rename": lambda g, u, n: g.rename(u, n, "new"),
    "link": lambda g, u, n: g.link(u, n, "new"),
    "locate": lambda g, u, n: g.store.locate(u.subject, n),
    "as a box": lambda g, u, n: g.store.retrieve_many(u.subject, [f"{n}/x"]),
    "stash into it as a box": lambda g, u, n: g.stash(u, f"{n}/x"),
}


@pytest.mark.parametrize("name", ["hidden", "hidden box", "hidden empty"])
@pytest.mark.parametrize("what", BY_NAME)
def test_what_is_said_is_what_is_said_of_nothing(what: str, name: str, bob: User) -> None:
    """The same error in the same words, without the number of a record."""
    governed = prepared()

    expected = told_by(governed, BY_NAME[what], bob, "nothing")
    assert NoSuchEntry is expected[0]
    assert expected == told_by(governed, BY_NAME[what], bob, name)


TO_NAME: dict[str, Operation] = {
    "stash": lambda g, u, n: g.stash(u, n),
    "create": lambda g, u, n: g.create(u, n),
    "make box": lambda g, u, n: g.make_box(u, n),
    "rename": lambda g, u, n: g.rename(u, "seen", n),
    "rename without replacing": lambda g, u, n: g.rename(u, "seen", n, overwrite=False),
    "rename a box": lambda g, u, n: g.rename(u, "box", n),
    "link": lambda g, u, n: g.link(u, "seen", n),
}


@pytest.mark.parametrize("name", ["hidden", "hidden box", "hidden empty"])
@pytest.mark.parametrize("what", TO_NAME)
def test_what_is_in_the_way_is_not_spoken_of(what: str, name: str, bob: User) -> None:
    """Denied without a reason, whatever is there, and it stays."""
    governed = prepared()
    before = dict(governed.store.root.children)

    expected = (Denied, f"uid {BOB} may not stash `NAME`", (None, None))
    assert expected == told_by(governed, TO_NAME[what], bob, name)
    assert before == governed.store.root.children
    assert [("stash", name, "deny", "hidden")] == [one for one in governed.noted() if one[2] == "deny"]


def test_a_hidden_name_of_the_same_entry_is_in_the_way_too(ada: User, bob: User) -> None:
    """By rename(2) that would be nothing to do, which would say whose name it is."""
    governed = prepared(policy(ALL))
    governed.link(ada, "seen", "hidden too")
    governed.adopt(HIDING)

    with pytest.raises(Denied):
        governed.rename(bob, "seen", "hidden too")
    governed.rename(ada, "seen", "hidden too")
    assert "seen" in governed.shown(ada)


@pytest.mark.parametrize("what", TO_NAME)
@pytest.mark.parametrize("why", ["policy", "mode bits", "limit", "seal"])
def test_whoever_could_not_have_the_name_learns_nothing(what: str, why: str, bob: User) -> None:
    """A free name is refused in the same words."""
    no_stash = policy(
        ALL,
        f"forbid actions: [list], entries: ['hidden*', 'box/hidden*'], subject: {{uid: [{BOB}]}}",
        f"forbid actions: [stash], subject: {{uid: [{BOB}]}}",
    )
    governed = prepared(
        no_stash if why == "policy" else HIDING, limits=Limits(entries=6) if why == "limit" else None
    )
    if why == "limit" and what in ("link", "rename", "rename without replacing", "rename a box"):
        return  # these make nothing new
    if why == "mode bits":
        governed.store.root.mode = 0o555
    governed.store.root.sealed = why == "seal"

    expected = told_by(governed, TO_NAME[what], bob, "free")
    assert expected == told_by(governed, TO_NAME[what], bob, "hidden")


def test_what_may_be_listed_is_in_the_way_by_name(bob: User) -> None:
    """EEXIST, as ever."""
    with pytest.raises(EntryExists):
        prepared().create(bob, "seen")


def test_listings_leave_it_out_and_say_so_once(ada: User, bob: User) -> None:
    """One record for each listing that left something out, with how much."""
    governed = prepared()

    assert ["box", "seen"] == governed.shown(bob)
    assert ["box", "seen"] == [name for name, _ in governed.store.names(bob.subject, governed.store.root)]
    assert ["box", "box/hidden", "hidden", "hidden box", "hidden empty", "seen"] == governed.shown(ada)
    assert [4, 3] == [decision.hidden for decision in governed.log.decisions]
    assert [("list", "/", "allow", "hidden")] * 2 == governed.noted()


def test_a_listing_that_is_broken_off_says_what_it_left_out_so_far(bob: User) -> None:
    """Nobody gets around the record by going away."""
    governed = prepared()
    walk = governed.store.walk(bob.subject)
    next(walk)
    next(walk)
    walk.close()

    assert [4] == [decision.hidden for decision in governed.log.decisions]


def test_what_mode_bits_hide_is_no_verdict(bob: User) -> None:
    """A box that can't be read is passed by in silence."""
    governed = prepared(policy(ALL))
    governed.store.root.children["box"].mode = 0o700

    assert "box/hidden" not in governed.shown(bob)
    assert [] == governed.noted()


def test_a_box_in_which_all_is_hidden_is_not_empty(bob: User) -> None:
    """As much has to be said: it can't go. How much is in it isn't."""
    governed = prepared()
    with pytest.raises(NotEmpty) as told:
        governed.store.remove_box(bob.subject, governed.store.locate(bob.subject, "box"))

    assert "`box` is not empty" == told.value.message


def test_hidden_names_are_not_counted_as_links(ada: User, bob: User) -> None:
    """Neither those that are hidden themselves nor those in a hidden box; boxes don't count at all."""
    governed = prepared(policy(ALL))
    governed.link(ada, "seen", "hidden too")
    governed.link(ada, "seen", "hidden box/too")
    governed.adopt(HIDING)
    entry, root = governed.store.root.children["seen"], governed.store.root

    assert (3, 1) == tuple(governed.store.links(user.subject, entry) for user in (ada, bob))
    assert (1, 1) == tuple(governed.store.links(user.subject, root) for user in (ada, bob))


def test_numbers_do_not_count_what_others_make(ada: User, bob: User) -> None:
    """The inode numbers of two entries don't tell how many were made in between."""
    governed = Governed(policy(ALL))
    numbers = [governed.stash(bob, f"e{number}").ino for number in range(64)]

    assert sorted(numbers) != numbers
    assert len(set(numbers)) == 64


def test_an_inode_is_asked_about_under_a_name_that_is_seen(ada: User, bob: User) -> None:
    """What is done to an entry itself is done under a name that allows it."""
    governed = prepared(policy(ALL))
    governed.link(ada, "hidden", "plain")
    governed.adopt(HIDING)
    entry = governed.store.root.children["plain"]

    assert "plain" == governed.store.target_of(bob.subject, entry).name
    assert "hidden" == governed.store.target_of(ada.subject, entry).name


def test_a_discarded_entry_is_judged_under_the_name_it_had(ada: User, bob: User) -> None:
    """Its last name gone or not: news of it are for those who could list it."""
    governed = prepared(policy(ALL))
    entry = governed.link(ada, "hidden", "plain")
    governed.adopt(HIDING)
    root = governed.store.root
    hidden, plain = Target(root, "hidden", entry), Target(root, "plain", entry)
    known = []
    governed.store.events.subscribe(
        0,
        lambda event: known.append(
            governed.store.knows(bob.subject, Target(event.box, event.name, event.node))
        ),
    )
    governed.store.discard_many(ada.subject, ["hidden"])

    assert [False] == known
    assert (False, True) == tuple(governed.store.knows(bob.subject, one) for one in (hidden, plain))
    governed.store.discard_many(ada.subject, ["plain"])
    assert [False, True] == known


def test_who_may_only_stash_fills_what_he_opened(bob: User) -> None:
    """A drop box: the empty entry can't be listed by its maker, and yet is filled through his handle."""
    governed = Governed(policy("allow actions: [stash]"))
    entry = governed.create(bob, "x")
    governed.store.fill(bob.subject, entry, governed.files(), bob.stasher)

    assert [] == governed.shown(bob)
    with pytest.raises(NoSuchEntry):
        governed.store.retrieve_many(bob.subject, ["x"])


def test_asking_for_it_by_name_is_on_record(bob: User) -> None:
    """As a denial of what was asked for."""
    governed = prepared()
    for what in ("retrieve", "discard", "lookup"):
        with pytest.raises(NoSuchEntry):
            BY_NAME[what](governed, bob, "hidden")

    expected: list[Noted] = [
        ("retrieve", "hidden", "deny", "hidden"),
        ("discard", "hidden", "deny", "hidden"),
        ("list", "hidden", "deny", "hidden"),
    ]
    # A policy of which something else is allowed says why the entry can't be listed.
    assert [("e1",)] * 3 == [decision.rules for decision in governed.log.decisions]
    assert expected == governed.noted()


def test_the_limit_message_does_not_count(bob: User) -> None:
    """How full the store is isn't said where it isn't full."""
    governed = prepared(limits=Limits(entries=7))
    with pytest.raises(QuotaExceeded) as told:
        governed.store.usage.check(BOB, 3)

    assert "the store has no room for 3 more entries: it may hold 7" == told.value.message
