"""Owner and mode bits decide, through one function, before anything happens."""

from collections.abc import Callable

import pytest

from fdstorefs.core.access import Action, Checked, Target, mode_bits
from fdstorefs.core.store import Store
from fdstorefs.core.subject import (
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    Subject,
)
from fdstorefs.errors import Denied, NotPermitted
from tests.unit.core.people import Clock, Files, Person


def may_retrieve(store: Store, person: Person, name: str = "x") -> bool:
    """Whether the person is given `name`."""
    try:
        store.retrieve_many(person.subject, [name])
    except Denied:
        return False
    return True


@pytest.mark.parametrize(
    ("access", "mode", "expected"),
    [
        ("r", 0o604, True),
        ("r", 0o602, False),
        ("w", 0o602, True),
        ("w", 0o604, False),
        ("rw", 0o606, True),
        ("rw", 0o604, False),
        ("path", 0o604, True),
        ("path", 0o600, False),
    ],
)
def test_a_copy_is_given_to_those_who_may_do_what_it_can_do(
    store: Store, files: Files, ada: Person, bob: Person, access: str, mode: int, expected: bool
) -> None:
    """A descriptor open for writing needs the w bit, one for reading the r bit, one for both needs both."""
    store.stash(ada.subject, "x", files(access), ada.stasher, mode=mode)

    assert may_retrieve(store, bob) is expected


def test_by_default_only_the_stasher_retrieves(store: Store, files: Files, ada: Person, bob: Person) -> None:
    """Whoever stashed held it already; nobody else gets it."""
    store.stash(ada.subject, "x", files(), ada.stasher)

    assert may_retrieve(store, ada)
    assert not may_retrieve(store, bob)


def test_the_owner_class_wins_even_where_it_grants_less(store: Store, files: Files, ada: Person) -> None:
    """As in any Unix file system: mode 0066 shuts its owner out."""
    store.stash(ada.subject, "x", files(), ada.stasher, mode=0o066)

    assert not may_retrieve(store, ada)


@pytest.mark.parametrize("groups", [frozenset({50}), frozenset({7, 50})])
def test_supplementary_groups_count(store: Store, files: Files, ada: Person, groups: frozenset[int]) -> None:
    """The group class is for members by any of their groups."""
    entry, _ = store.stash(ada.subject, "x", files(), ada.stasher, mode=0o660)
    entry.gid = 50

    assert may_retrieve(store, Person(1005, 1005, groups))
    assert not may_retrieve(store, Person(1005, 1005))


@pytest.mark.parametrize(
    ("capability", "access", "expected"),
    [
        (CAP_DAC_OVERRIDE, "rw", True),
        (CAP_DAC_READ_SEARCH, "r", True),
        (CAP_DAC_READ_SEARCH, "rw", False),
        (CAP_FOWNER, "r", False),
    ],
)
def test_capabilities_over_the_instance_do_what_they_do_elsewhere(
    store: Store, files: Files, ada: Person, capability: int, access: str, expected: bool
) -> None:
    """Uid 0 itself means nothing; its capabilities do."""
    store.stash(ada.subject, "x", files(access), ada.stasher)

    assert may_retrieve(store, Person(0, 0, capabilities=1 << capability)) is expected
    assert not may_retrieve(store, Person(0, 0))


def test_two_strangers_with_the_overflow_uid_are_not_the_same_person(store: Store, files: Files) -> None:
    """An id the kernel could not express owns nothing, not even what it stashed."""
    stranger = Person(65534, 65534)
    unknown = Subject(65534, 65534, known=False)
    entry, _ = store.stash(stranger.subject, "x", files(), stranger.stasher)

    with pytest.raises(Denied):
        store.retrieve_many(unknown, ["x"])
    entry.mode = 0o660
    with pytest.raises(Denied):
        store.retrieve_many(unknown, ["x"])


def test_in_a_sticky_box_only_owners_discard_and_rename(
    store: Store, files: Files, ada: Person, bob: Person
) -> None:
    """The root box is like /tmp."""
    store.stash(ada.subject, "x", files(), ada.stasher, mode=0o666)
    target = store.locate(bob.subject, "x")

    with pytest.raises(NotPermitted):
        store.discard(bob.subject, target)
    with pytest.raises(NotPermitted):
        store.take_many(bob.subject, ["x"])
    with pytest.raises(NotPermitted):
        store.rename(bob.subject, target, store.locate_goal(bob.subject, "y"))
    store.stash(bob.subject, "y", files(), bob.stasher)
    with pytest.raises(NotPermitted):
        store.rename(bob.subject, store.locate(bob.subject, "y"), target)


def test_a_box_without_search_hides_what_is_in_it(
    store: Store, files: Files, ada: Person, bob: Person
) -> None:
    """Mode 0700 on a box protects everything below, whatever mode that has."""
    store.make_box(ada.subject, store.root, "box", 0o700)
    store.stash(ada.subject, "box/x", files(), ada.stasher, mode=0o666)

    with pytest.raises(Denied):
        store.retrieve_many(bob.subject, ["box/x"])
    assert [path for path, _ in store.walk(bob.subject)] == ["box"]


def test_only_the_owner_changes_mode_and_label(store: Store, files: Files, ada: Person, bob: Person) -> None:
    """EPERM for everybody else, short of CAP_FOWNER."""
    entry, _ = store.stash(ada.subject, "x", files(), ada.stasher)

    for attempt in (store.set_mode, store.set_label):
        with pytest.raises(NotPermitted):
            attempt(bob.subject, entry, 0o666)  # type: ignore[arg-type, operator]
    store.set_mode(Person(5, 5, capabilities=1 << CAP_FOWNER).subject, entry, 0o640)
    assert entry.mode == 0o640


@pytest.mark.parametrize(
    ("uid", "gid", "capabilities", "allowed"),
    [
        (None, 1000, 0, True),
        (None, 50, 0, True),
        (None, 51, 0, False),
        (1001, None, 0, False),
        (1001, 51, 1 << CAP_CHOWN, True),
    ],
)
def test_chown_follows_chown2(
    store: Store, files: Files, uid: int | None, gid: int | None, capabilities: int, allowed: bool
) -> None:
    """The owner may pick one of his groups; giving away takes CAP_CHOWN."""
    owner = Person(1000, 1000, frozenset({50}), capabilities)
    entry, _ = store.stash(owner.subject, "x", files(), owner.stasher)

    def change() -> None:
        store.set_owner(owner.subject, entry, uid, gid)

    if allowed:
        change()
        assert (entry.uid, entry.gid) == (uid or 1000, gid or 1000)
    else:
        with pytest.raises(NotPermitted):
            change()


def test_a_change_of_owner_moves_the_count(store: Store, files: Files, ada: Person) -> None:
    """Limits for each uid follow the entry."""
    entry, _ = store.stash(ada.subject, "x", files(), ada.stasher)
    store.set_owner(Person(0, 0, capabilities=1 << CAP_CHOWN).subject, entry, 7, None)

    assert (store.usage.of(1000), store.usage.of(7)) == (0, 1)


def test_a_set_group_id_box_hands_its_group_down(store: Store, ada: Person) -> None:
    """As directories do, to entries and to boxes, which hand it on."""
    shared = store.make_box(ada.subject, store.root, "shared")
    shared.mode, shared.gid = 0o2770, 50
    inner = store.make_box(ada.subject, shared, "inner")

    assert store.create(ada.subject, shared, "x").gid == 50
    assert (inner.gid, inner.mode & 0o2000) == (50, 0o2000)


OPERATIONS: list[tuple[str, Callable[[Store, Person, Files], object]]] = [
    ("create", lambda s, p, f: s.create(p.subject, s.root, "new")),
    ("stash", lambda s, p, f: s.stash(p.subject, "new", f(), p.stasher)),
    ("replace", lambda s, p, f: s.stash(p.subject, "x", f(), p.stasher, replace=True)),
    ("fill", lambda s, p, f: s.fill(p.subject, s.root.children["x"], f(), p.stasher)),  # type: ignore[arg-type]
    ("retrieve", lambda s, p, f: s.retrieve_many(p.subject, ["x"])),
    ("take", lambda s, p, f: s.take_many(p.subject, ["x"])),
    ("discard", lambda s, p, f: s.discard(p.subject, s.target(s.root, "x"))),
    ("rename", lambda s, p, f: s.rename(p.subject, s.target(s.root, "x"), s.target(s.root, "y"))),
    ("link", lambda s, p, f: s.link(p.subject, s.target(s.root, "x"), s.root, "y")),
    ("make box", lambda s, p, f: s.make_box(p.subject, s.root, "newbox")),
    ("remove box", lambda s, p, f: s.remove_box(p.subject, s.target(s.root, "box"))),
    ("names", lambda s, p, f: s.names(p.subject, s.root)),
    ("lookup", lambda s, p, f: s.lookup(p.subject, s.root, "x")),
    ("seal", lambda s, p, f: s.seal(p.subject, s.root.children["box"])),  # type: ignore[arg-type]
    ("mode", lambda s, p, f: s.set_mode(p.subject, s.root.children["x"], 0o666)),
    ("label", lambda s, p, f: s.set_label(p.subject, s.root.children["x"], "l")),  # type: ignore[arg-type]
    ("locate", lambda s, p, f: s.locate(p.subject, "x")),
]


@pytest.mark.parametrize(("what", "operation"), OPERATIONS, ids=[what for what, _ in OPERATIONS])
def test_every_operation_asks_the_authority_and_obeys(
    make_store: Callable[..., Store],
    files: Files,
    ada: Person,
    what: str,
    operation: Callable[[Store, Person, Files], object],
) -> None:
    """An authority that forbids all stops each operation, and nothing has changed."""
    allowed = True

    def authority(subject: Subject, action: Action, target: Target) -> None:
        if not allowed:
            raise Denied(f"no {action}", name=target.path)

    store = make_store(authority=authority)
    store.stash(ada.subject, "x", files(), ada.stasher)
    store.make_box(ada.subject, store.root, "box")
    allowed = False
    before = {name: (node.mode, node.changed) for name, node in store.root.children.items()}

    with pytest.raises(Denied):
        operation(store, ada, files)
    assert {name: (node.mode, node.changed) for name, node in store.root.children.items()} == before
    assert files.released == []


def test_what_may_not_be_listed_is_not_walked(files: Files, ada: Person) -> None:
    """Each name is asked for by itself, so a policy can hide one among many."""

    class Hiding(Checked):
        def policy_allows(self, _subject: Subject, action: Action, target: Target) -> bool:
            return action is not Action.LIST or target.name != "hidden"

    store = Store(uid=0, gid=0, clock=Clock(), authority=Hiding(mode_bits))
    for name in ("hidden", "seen"):
        store.stash(ada.subject, name, files(), ada.stasher)

    assert [path for path, _ in store.walk(ada.subject)] == ["seen"]
    assert [name for name, _ in store.names(ada.subject, store.root)] == ["seen"]
