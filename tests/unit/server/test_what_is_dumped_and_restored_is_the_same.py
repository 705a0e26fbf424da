"""Dump and Restore: a store that was filled from a dump is as the one that was dumped, or as it was before."""

from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.core.access import Action, Target, mode_bits
from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import (
    Busy,
    Denied,
    EntryExists,
    InvalidArgument,
    IsABox,
    NoSuchEntry,
    NotABox,
    NotGuarded,
    NotPermitted,
    Overloaded,
    QuotaExceeded,
    StoreError,
)
from fdstorefs.host.boot_clock import boottime
from fdstorefs.server import budget
from fdstorefs.server.varlink import dumping, restoring
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.dumping import dump
from fdstorefs.server.varlink.session import Session
from fdstorefs.server.varlink.standard import StandardError
from tests.unit.core.knowing_guard import KnowingGuard, by_path
from tests.unit.core.people import Files, Person
from tests.unit.server.dumped import ROOT, Lot, Served, Wire

NAMES = ("a", "b", "sp ace", "qu\"o'te", "ünï", "\udcff", "*")
HOUR = 3600 * 10**9
FILES = 4

PLAIN = (None, (0, 0, 0o600), None, True, False)
"""An empty entry of root's."""

ADA = Person(1000, 1000, frozenset({2000}))

some_name = st.sampled_from(NAMES)
some_ids = st.tuples(st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2), st.integers(0, 0o7777))
some_label = st.none() | st.text(max_size=5)
some_file = st.none() | st.integers(0, FILES - 1)
some_entry = st.tuples(some_file, some_ids, some_label, st.booleans(), st.booleans())


def box_of(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A box of these."""
    return st.tuples(
        st.just("box"), some_ids, st.booleans(), st.dictionaries(some_name, children, max_size=4)
    )


some_tree = st.dictionaries(some_name, st.recursive(some_entry, box_of, max_leaves=12), max_size=5)
some_links = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), some_name), max_size=6)


class Filled(Served):
    """A store that has a tree in it, and its open files."""

    def __init__(self, tree: Any, links: Iterable[tuple[int, int, str]] = ()) -> None:
        self.make = Files()
        self.files = [self.make().hold() for _ in range(FILES)]
        super().__init__({file.descriptor: file for file in self.files})
        self.fill(self.store.root, tree)
        self.link(links)
        for box in self.boxes():
            box.sealed = box.ino in self.sealed

    sealed: set[int]

    def fill(self, box: Box, tree: Any) -> None:
        """As whoever owns the instance."""
        self.sealed = getattr(self, "sealed", set())
        for name, what in tree.items():
            if what[0] == "box":
                made = self.store.make_box(ROOT.subject, box, name)
                made.uid, made.gid, made.mode = what[1]
                self.sealed |= {made.ino} if what[2] else set()
                self.fill(made, what[3])
            else:
                self.put(box, name, *what)

    def put(
        self, box: Box, name: str, file: int | None, ids: Any, label: str | None, polled: bool, goes: bool
    ) -> None:
        """One entry."""
        entry = self.store.create(ROOT.subject, box, name)
        if file is not None:
            self.store.fill(ROOT.subject, entry, self.files[file], ROOT.stasher)
        entry.uid, entry.gid, entry.mode = ids
        entry.label, entry.polled, entry.expires = label, polled, boottime() + HOUR if goes else None

    def boxes(self) -> list[Box]:
        """All, the root first."""
        return [node for node in self.store.tree.nodes.values() if isinstance(node, Box)]

    def link(self, links: Iterable[tuple[int, int, str]]) -> None:
        """Further names, where they are free."""
        entries = [node for node in self.store.tree.nodes.values() if isinstance(node, Entry)]
        for source, goal, name in links:
            box = self.boxes()[goal % len(self.boxes())]
            if entries and name not in box.children:
                self.store.tree.attach(box, name, entries[source % len(entries)])


def picture(store: Store, below: str = "") -> dict[str, tuple[Any, ...]]:
    """All that is kept of each name: which names are one entry, and which entries have one open file, too."""
    start = store.locate(ROOT.subject, below).node if below else store.root
    assert isinstance(start, Box)
    walked = list(store.tree.walk(start))
    first_of: dict[Any, str] = {}
    for path, _, _, node in walked:
        first_of.setdefault(node, path)
        if isinstance(node, Entry) and node.file is not None:
            first_of.setdefault(node.file, path)
    return {path: (first_of[node], *told(node, first_of)) for path, _, _, node in walked}


def told(node: Entry | Box, first_of: dict[Any, str]) -> tuple[Any, ...]:
    """What is said of one node. When it goes is compared to the minute."""
    common = (node.kind, node.uid, node.gid, node.mode, node.created, node.changed)
    if isinstance(node, Box):
        return (*common, node.sealed)
    left = node.expires is not None and round((node.expires - boottime()) / HOUR, 1)
    return (*common, node.label, node.polled, left, first_of[node.file] if node.file is not None else None)


def another(filled: Filled, **options: Any) -> Served:
    """An empty store that the same open files can come into. Its clock has gone on."""
    served = Served({file.descriptor: file for file in filled.files}, **options)
    served.store._clock = lambda: 10**6
    return served


@settings(max_examples=150, deadline=None)
@given(some_tree, some_links, st.booleans())
def test_a_store_that_is_dumped_and_restored_equals_itself(tree: Any, links: Any, into: bool) -> None:
    """Boxes, entries, names, shared open files, owners, modes, times, labels, expiry, seals."""
    filled = Filled(tree, links)
    goal = another(filled)
    if into:
        goal.store.make_box(ROOT.subject, goal.store.root, "into")

    given: Any = {"into": "into"} if into else {}
    goal.restore(filled.dump(), **given)

    assert picture(filled.store) == picture(goal.store, "into" if into else "")
    assert {ROOT.stasher} >= {node.stasher for node in goal.store.tree.nodes.values()} - {None}
    assert goal.store.usage.total == filled.store.usage.total + into


@settings(max_examples=120, deadline=None)
@given(some_tree, some_links, some_tree, st.booleans())
def test_a_restore_that_fails_changes_nothing(tree: Any, links: Any, there: Any, replace: bool) -> None:
    """Whatever is in the way; and nothing of it stays open, or counts."""
    filled, goal = Filled(tree, links), Filled(there)
    goal.context.intake._files = {file.descriptor: file for file in filled.files}  # type: ignore[attr-defined]
    goal.store._clock = lambda: 10**6
    before, held = picture(goal.store), [file.holds for file in filled.files]
    try:
        goal.restore(filled.dump(), replace=replace)
    except StoreError:
        assert before == picture(goal.store)
        assert held == [file.holds for file in filled.files]
    else:
        after, wanted = picture(goal.store), picture(filled.store)
        entries = {path for path, what in wanted.items() if what[1] != "box"}

        assert {path: wanted[path][1] for path in wanted} == {path: after[path][1] for path in wanted}
        assert {path: wanted[path][2:7] for path in entries} == {path: after[path][2:7] for path in entries}
    assert goal.session.begun is None
    assert 0 == goal.store.usage._promised_total


@settings(max_examples=60, deadline=None)
@given(some_tree, some_links, st.integers(0, 3), st.integers(0, 3))
def test_a_client_that_has_no_room_gets_all_the_same(tree: Any, links: Any, full: int, crowded: int) -> None:
    """What was not taken goes out again, once."""
    filled = Filled(tree, links)
    goal = another(filled)

    goal.restore(filled.dump(full=full, crowded=crowded))

    assert picture(filled.store) == picture(goal.store)


def many(count: int) -> Filled:
    """A store with so many entries in a box, an open file in the last."""
    entries: dict[str, Any] = {f"{n:04}": PLAIN for n in range(count - 1)}
    return Filled({"box": ("box", (0, 0, 0o700), False, {**entries, f"{count - 1:04}": (0, *PLAIN[1:])})})


def test_an_entry_that_is_renamed_meanwhile_is_there_once() -> None:
    """Under the name that it has when it goes out, though the walk had passed that name by."""
    filled = many(600)
    box = filled.store.locate(ROOT.subject, "box").node
    assert isinstance(box, Box)

    def rename(count: int) -> None:
        if count == 0:
            source = filled.store.locate(ROOT.subject, "box/0599")
            filled.store.rename(ROOT.subject, source, Target(box, "0000a"))

    nodes = [node for lot, _ in filled.dump(between=rename) for node in lot]
    names = [name for node in nodes for name in node["names"]]

    assert (601, 601, True) == (len(names), len(set(names)), "box/0000a" in names)


def test_a_box_that_is_renamed_meanwhile_ends_it() -> None:
    """Half of what is in it was told of under another name."""
    filled = many(600)

    def rename(count: int) -> None:
        if count == 0:
            source = filled.store.locate(ROOT.subject, "box")
            filled.store.rename(ROOT.subject, source, Target(filled.store.root, "chest"))

    last, _ = filled.replies(between=rename)[-1]

    assert ("io.fdstorefs.Store.Busy", "box") == (last["error"], last["parameters"]["name"])


def test_what_is_discarded_meanwhile_does_not_go_out() -> None:
    """Nobody gets an open file under a name that it has not."""
    filled = many(600)

    def discard(count: int) -> None:
        if count == 0:
            filled.store.discard(ROOT.subject, filled.store.locate(ROOT.subject, "box/0599"))

    nodes = [node for lot, _ in filled.dump(between=discard) for node in lot]

    assert ["box/0598"] == nodes[-1]["names"]


# Whose it is, and who may


def dumped(**nodes: Any) -> list[Lot]:
    """A lot with one entry for each name, of which some is said, and the end."""
    usual = {"kind": "empty", "uid": 0, "gid": 0, "mode": 0o666}
    return [([{"names": [name], **usual, **said} for name, said in nodes.items()], []), ([], [])]


def owned(served: Served, path: str) -> tuple[int, int, int]:
    """Owner, group and mode."""
    node = served.store.locate(ROOT.subject, path).node
    assert node is not None
    return node.uid, node.gid, node.mode


def test_whoever_could_not_give_it_away_keeps_it() -> None:
    """The group is kept for its members; what another group might do, only others may do, too."""
    served = Served()
    served.restore(
        dumped(foreign={"uid": 7, "gid": 8, "mode": 0o664}, ours={"uid": 7, "gid": 2000, "mode": 0o670}), ADA
    )

    assert [(1000, 1000, 0o644), (1000, 2000, 0o670)] == [owned(served, "foreign"), owned(served, "ours")]


def test_whoever_could_give_it_away_restores_owners() -> None:
    """Root of the instance's user namespace."""
    served = Served()
    served.restore(dumped(foreign={"uid": 7, "gid": 8, "mode": 0o664}))

    assert (7, 8, 0o664) == owned(served, "foreign")


@pytest.mark.parametrize("limits", [Limits(entries=2), Limits(entries_per_uid=2), Limits(entries_per_box=2)])
def test_limits_hold_for_all_of_it_together(limits: Limits) -> None:
    """Though each alone would fit."""
    served = Served(limits=limits)
    with pytest.raises(QuotaExceeded):
        served.restore(dumped(a={}, b={}, c={}), ADA)

    assert (0, 0) == (served.store.usage.total, served.store.usage._promised_total)


def test_what_has_come_counts_for_others_too() -> None:
    """Two who restore at the same time do not get more room than there is."""
    served = Served(limits=Limits(entries=3))
    begun, _ = dumped(a={}, b={})
    served.restore_some(begun, first=True)
    with pytest.raises(QuotaExceeded):
        served.store.require_room(ADA.subject, [Target(served.store.root, name) for name in ("x", "y")])
    served.session.close()

    served.store.require_room(ADA.subject, [Target(served.store.root, name) for name in ("x", "y")])


def test_what_is_replaced_makes_room() -> None:
    """A full store can be restored into itself."""
    served = Served(limits=Limits(entries=2, entries_per_uid=2))
    served.restore(dumped(a={}, b={}))
    served.restore(dumped(a={}, b={}), replace=True)

    assert 2 == served.store.usage.total


def refusing(action: Action, name: str) -> Any:
    """Mode bits, but this action on this name."""

    def check(subject: Subject, asked: Action, target: Target) -> None:
        if asked is action and target.name == name:
            raise Denied(f"may not {action} `{target.path}`", name=target.path)
        mode_bits(subject, asked, target)

    return check


TWO = {"a": (0, *PLAIN[1:]), "b": (1, *PLAIN[1:])}


@pytest.mark.parametrize("action", [Action.RETRIEVE, Action.DESCRIBE])
def test_one_that_is_denied_denies_all(action: Action) -> None:
    """The error says which."""
    filled = Filled(TWO)
    filled.store._authority.require_mode = filled.store._authority.require = refusing(action, "b")  # type: ignore[method-assign]
    last, _ = filled.replies()[-1]

    assert ("io.fdstorefs.Store.Denied", "b") == (last["error"], last["parameters"]["name"])


def test_what_is_denied_can_be_left_out() -> None:
    """And is told of at the end."""
    filled = Filled(TWO)
    filled.store._authority.require_mode = refusing(Action.RETRIEVE, "b")  # type: ignore[method-assign]
    replies = filled.replies(leaveOut=True)

    assert [["a"]] == [node["names"] for reply, _ in replies for node in reply["parameters"]["nodes"]]
    assert [{"name": "b", "why": "may not retrieve `b`"}] == replies[-1][0]["parameters"]["leftOut"]


SEALED = {"box": ("box", (1000, 1000, 0o755), True, {"x": (0, (1000, 1000, 0o666), None, True, False)})}


def test_whoever_may_break_a_seal_dumps_what_it_keeps() -> None:
    """And it is sealed where it is restored."""
    filled = Filled(SEALED)
    goal = another(filled)

    goal.restore(filled.dump(ADA))

    assert {"box", "box/x"} == set(picture(goal.store))
    assert goal.store.locate(ROOT.subject, "box").node.sealed  # type: ignore[union-attr]


def test_a_seal_keeps_others_from_it() -> None:
    """As from retrieving."""
    last, _ = Filled(SEALED).replies(Person(1001, 1001))[-1]

    assert "io.fdstorefs.Store.Busy" == last["error"]


def test_a_box_that_may_not_be_read_denies_all() -> None:
    """What is in it would be missing, and nobody would know."""
    closed: Any = {"box": ("box", (0, 0, 0o700), False, {})}
    filled = Filled(closed)
    last, _ = filled.replies(ADA)[-1]
    left_out = filled.replies(ADA, leaveOut=True)[-1][0]["parameters"]["leftOut"]

    assert ("io.fdstorefs.Store.Denied", ["box"]) == (last["error"], [each["name"] for each in left_out])


# Which

TREE = {
    "web": ("box", (0, 0, 0o700), False, {"a": (0, *PLAIN[1:]), "b": (1, *PLAIN[1:])}),
    "db": (2, *PLAIN[1:]),
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (None, ["db", "web", "web/a", "web/b"]),
        ("web", ["web", "web/a", "web/b"]),
        ("web/a", ["web", "web/a"]),
        ("w*", ["web", "web/a", "web/b"]),
        ("db", ["db"]),
        ("none", []),
    ],
)
def test_a_pattern_says_what_is_dumped(pattern: str | None, expected: list[str]) -> None:
    """A box comes with what is in it, and what is in a box with the box."""
    given: Any = {"pattern": pattern} if pattern is not None else {}

    assert expected == [
        name for lot, _ in Filled(TREE).dump(**given) for node in lot for name in node["names"]
    ]


def test_a_box_that_nobody_asked_for_says_so() -> None:
    """Whoever moves what he asked for leaves it where it is."""
    (box, entry), _ = Filled(TREE).dump(pattern="web/a")[0]

    assert (True, None) == (box["onTheWay"], entry.get("onTheWay"))


def test_names_that_are_not_asked_for_stay() -> None:
    """Of an entry with several names only those that match go."""
    filled = Filled(TREE)
    filled.store.tree.attach(filled.store.root, "other", filled.store.locate(ROOT.subject, "db").node)  # type: ignore[arg-type]

    assert [["db"]] == [node["names"] for lot, _ in filled.dump(pattern="db") for node in lot]


# What is in the way

ENTRY: dict[str, Any] = {"names": ["x"], "kind": "empty", "uid": 0, "gid": 0, "mode": 0o600}
BOX = ENTRY | {"kind": "box"}


@pytest.mark.parametrize(
    ("there", "coming", "replace", "error"),
    [
        ("entry", [ENTRY], False, EntryExists),
        ("box", [ENTRY], True, IsABox),
        ("entry", [BOX], True, NotABox),
        ("nothing", [ENTRY | {"names": ["box/x"]}], False, NoSuchEntry),
        ("entry", [ENTRY | {"names": ["x/y"]}], False, NotABox),
        ("nothing", [ENTRY, ENTRY], False, InvalidArgument),
        ("nothing", [ENTRY | {"names": ["x", "/x/"]}], False, InvalidArgument),
        ("nothing", [BOX | {"names": ["/"]}], False, InvalidArgument),
        ("nothing", [ENTRY | {"names": [".fdstore"]}], False, EntryExists),
        ("sealed box", [ENTRY | {"names": ["x/y"]}], False, Busy),
    ],
)
def test_what_cannot_be_is_refused(
    there: str, coming: list[Any], replace: bool, error: type[StoreError]
) -> None:
    """With the error of the one that cannot be."""
    served = Served()
    store = served.store
    if there == "entry":
        store.create(ROOT.subject, store.root, "x")
    elif there != "nothing":
        store.make_box(ROOT.subject, store.root, "x").sealed = there == "sealed box"
    before = picture(store)

    with pytest.raises(error):
        served.restore([(coming, []), ([], [])], replace=replace)
    assert before == picture(store)


def test_a_box_that_is_there_stays_as_it_is() -> None:
    """What is restored in it joins what is there."""
    served = Served()
    served.store.make_box(ROOT.subject, served.store.root, "x", 0o711)
    served.restore([([BOX, ENTRY | {"names": ["x/y"]}], []), ([], [])])

    assert ((0, 0, 0o711), (0, 0, 0o600)) == (owned(served, "x"), owned(served, "x/y"))


def test_a_name_that_is_replaced_is_taken_from_its_entry_only() -> None:
    """Its other names stay."""
    served = Served()
    entry = served.store.create(ROOT.subject, served.store.root, "x")
    served.store.tree.attach(served.store.root, "other", entry)
    served.restore([([ENTRY], []), ([], [])], replace=True)

    assert [(served.store.root, "other")] == entry.places
    assert served.store.usage.total == 2


def test_a_restore_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody waits while it is done."""
    monkeypatch.setattr(restoring, "MOST_NAMES", 3)
    served = Served()
    served.restore(dumped(a={}, b={}, c={}))
    with pytest.raises(QuotaExceeded, match="3 names at most"):
        served.restore(dumped(d={}, e={}, f={}, g={}))

    assert {"a", "b", "c"} == set(picture(served.store))


def test_a_user_has_only_so_many_under_way() -> None:
    """What has come of them is kept; of others', nobody keeps him from beginning one."""
    served, begun, sessions = Served(), dumped(x={})[0], []
    for _ in range(restoring.MOST_AT_A_TIME):
        served.restore_some(begun, ADA, first=True)
        sessions.append(served.session)
        served.session = Session()
    with pytest.raises(Overloaded):
        served.restore_some(begun, ADA, first=True)
    served.restore_some(begun, first=True)
    for session in [*sessions, served.session]:
        session.close()

    served.restore_some(begun, ADA, first=True)
    assert {1000: 1} == served.context.restores


def so_many(count: int) -> dict[int, OpenFile]:
    """Open files, by descriptors from 1 on."""
    make = Files()
    return {file.descriptor: file for file in (make() for _ in range(count))}


def with_files(served: Served, who: Person, *descriptors: int) -> None:
    """Begin a restore of these files that nobody ends."""
    nodes = [
        {
            "names": [str(each)],
            "kind": "pipe",
            "uid": 0,
            "gid": 0,
            "mode": 0o666,
            "file": each,
            "fileDescriptor": at,
        }
        for at, each in enumerate(descriptors)
    ]
    served.session = Session()
    served.restore_some((nodes, list(descriptors)), who, first=True)


def test_files_that_wait_for_the_end_of_restores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user has so many in all his restores together, and another one has his own; what is thrown away is free."""
    monkeypatch.setattr(budget, "STAGED_OF_ONE", 3)
    served = Served(so_many(10))
    with_files(served, ADA, 1, 10)
    first = served.session
    with pytest.raises(QuotaExceeded, match="uid 1000 has 2 of 3 open files in restores that are not done"):
        with_files(served, ADA, 2, 3)
    with_files(served, ADA, 4)
    with_files(served, ROOT, 5, 6, 7)
    first.close()
    with_files(served, ADA, 8, 9)

    assert (3, 3) == tuple(served.context.staged.of(who.subject.uid) for who in (ADA, ROOT))


def test_what_is_restored_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is free for the next one."""
    monkeypatch.setattr(budget, "STAGED_OF_ONE", 2)
    served = Served(so_many(4))
    for descriptors in ((1, 2), (3, 4)):
        with_files(served, ADA, *descriptors)
        served.restore_some(([], []), ADA, last=True)

    assert (4, 0) == (served.store.usage.total, served.context.staged.of(1000))


def begun_dump(served: Served, who: Person) -> Exchange:
    """A dump of which nothing is taken."""
    wire = Wire(served.turns)
    wire.full = 1 << 30
    activity = dump(served.context, Call("Dump", {}, who.subject, [], more=True))
    wire.exchange = Exchange(wire, cast(Any, served.turns), activity)
    wire.exchange.start()
    return wire.exchange


def test_a_user_has_only_so_many_dumps_under_way() -> None:
    """Each remembers what has gone out; of others', nobody keeps him from beginning one."""
    served = many(600)
    begun = [begun_dump(served, ROOT) for _ in range(dumping.MOST_AT_A_TIME)]
    with pytest.raises(Overloaded, match="uid 0 has 8 dumps under way"):
        begun_dump(served, ROOT)
    begun_dump(served, ADA)
    begun[0].stop()
    begun_dump(served, ROOT)
    for exchange in begun[1:]:
        exchange.stop()

    assert {0: 1} == served.context.dumps


# What others do while it is weighed


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have their turn after each thing that is weighed."""
    monkeypatch.setattr(restoring, "TURN_SECONDS", -1.0)


def create_x(store: Store) -> None:
    """Somebody is there first."""
    store.create(ROOT.subject, store.root, "x")


def create_another(store: Store) -> None:
    """Somebody does something else."""
    store.create(ROOT.subject, store.root, "another")


def seal_box(store: Store) -> None:
    """Somebody closes where it was to go."""
    box = store.locate(ROOT.subject, "box").node
    assert isinstance(box, Box)
    store.seal(ROOT.subject, box)


def rename_box(store: Store) -> None:
    """Somebody moves where it was to go."""
    store.rename(ROOT.subject, store.locate(ROOT.subject, "box"), Target(store.root, "chest"))


def discard_old(store: Store) -> None:
    """Somebody has made the room already."""
    store.discard(ROOT.subject, store.locate(ROOT.subject, "old"))


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        (create_x, EntryExists),
        (seal_box, Busy),
        (rename_box, NoSuchEntry),
        (create_another, None),
        (discard_old, None),
    ],
)
def test_what_others_do_meanwhile_counts(meanwhile: Any, expected: type[StoreError] | None) -> None:
    """All of it is weighed anew where it matters, and is stored whole or not at all."""
    served = Served()
    store = served.store
    store.make_box(ROOT.subject, store.root, "box")
    store.create(ROOT.subject, store.root, "old")
    if meanwhile is create_x:
        store.discard(ROOT.subject, store.locate(ROOT.subject, "old"))
    begun = [ENTRY | {"names": names} for names in (["old"], ["x"], ["box/y"])]
    kept: Any = {}

    def once(count: int) -> None:
        if count == 1:
            meanwhile(store)
            kept.update(picture(store))

    served.restore_some((begun, []), first=True, replace=meanwhile is not create_x)
    failure = None
    try:
        served.restore_some(([], []), between=once, last=True)
    except StoreError as error:
        failure = type(error)

    assert expected is failure
    if failure is None:
        assert {"old", "x", "box/y"} <= set(picture(store))
    else:
        assert kept == picture(store)


def make_sticky(store: Store) -> None:
    """What others have put there is not to be replaced any more."""
    box = store.locate(ROOT.subject, "way/box").node
    assert isinstance(box, Box)
    store.set_mode(ROOT.subject, box, 0o1777)


def close_box(store: Store) -> None:
    """Nobody is to reach what is in it."""
    box = store.locate(ROOT.subject, "way/box").node
    assert isinstance(box, Box)
    store.set_mode(ROOT.subject, box, 0o766)


def close_way(store: Store) -> None:
    """Nobody is to come by."""
    box = store.locate(ROOT.subject, "way").node
    assert isinstance(box, Box)
    store.set_mode(ROOT.subject, box, 0o766)


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [(make_sticky, NotPermitted), (close_box, Denied), (close_way, Denied)],
)
def test_rights_that_are_taken_away_meanwhile_are_gone(meanwhile: Any, expected: type[StoreError]) -> None:
    """Between the turn in which it was weighed and that in which it is done."""
    served = Served()
    store = served.store
    store.root.mode = 0o777
    way = store.make_box(ROOT.subject, store.root, "way", 0o777)
    box = store.make_box(ROOT.subject, way, "box", 0o777)
    store.create(ROOT.subject, box, "old")
    served.restore_some(
        ([ENTRY | {"names": names} for names in (["way/box/old"], ["x"], ["y"])], []),
        ADA,
        first=True,
        replace=True,
    )
    kept: Any = {}

    def once(count: int) -> None:
        if count == 1:
            meanwhile(store)
            kept.update(picture(store))

    with pytest.raises(expected):
        served.restore_some(([], []), ADA, between=once, last=True)

    assert kept == picture(store)


@pytest.mark.usefixtures("one_at_a_time")
def test_somebody_who_never_rests_does_not_keep_it_from_being_done() -> None:
    """In the end it is done at once."""
    served = Served()
    store = served.store
    store.make_box(ROOT.subject, store.root, "box")

    def move(count: int) -> None:
        names = ("box", "chest")
        source = store.locate(ROOT.subject, names[count % 2])
        store.rename(ROOT.subject, source, Target(store.root, names[1 - count % 2]))

    served.restore_some(([ENTRY, ENTRY | {"names": ["y"]}], []), first=True)
    served.restore_some(([], []), between=move, last=True)

    assert {"x", "y"} < set(picture(store))


@pytest.mark.usefixtures("one_at_a_time")
def test_a_client_that_leaves_in_the_last_moment_has_restored_nothing() -> None:
    """Unless everything was done."""
    served = Served()

    def leave(_count: int) -> None:
        raise ConnectionError

    served.restore_some(([ENTRY, ENTRY | {"names": ["y"]}], []), first=True)
    with pytest.raises(ConnectionError):
        served.restore_some(([], []), between=leave, last=True)
    served.session.close()
    served.turns.soon.clear()

    assert ({}, 0) == (picture(served.store), served.store.usage._promised_total)


# Where there is a guard


@pytest.mark.parametrize("refuses", [False, True])
def test_a_guard_knows_all_names_that_arrive(refuses: bool) -> None:
    """Or none, where it does not consent: then nothing arrives."""
    filled = Filled(TREE)
    goal = another(filled)
    guard = goal.store.guard = KnowingGuard(goal.store)
    guard.refuses = refuses
    lots = filled.dump()
    if refuses:
        with pytest.raises(NotGuarded):
            goal.restore(lots)
    else:
        goal.restore(lots)

    assert by_path(guard.stored()) == by_path(guard.known)
    assert (3, 0)[refuses] == len(guard.known)


# Calls that make no sense


@pytest.mark.parametrize(
    "node",
    [
        {"names": []},
        {"names": ["x"], "kind": "memfd"},
        {"file": 1},
        {"fileDescriptor": 0},
        {"kind": "memfd", "file": 1, "fileDescriptor": 0},
        {"kind": "memfd", "file": 1},
        {"mode": 0o10000},
        {"uid": -1},
        {"uid": True},
        {"lifetime": 0},
        {"label": "x" * 256},
        {"strange": 1},
        {"names": ["x"] * 65},
        {"names": ["x", "y"], "kind": "box"},
        {"created": 2**63},
    ],
)
def test_a_node_that_makes_no_sense_is_refused(node: Any) -> None:
    """And what came before is thrown away."""
    served = Served()
    with pytest.raises((StoreError, StandardError)):
        served.restore([([ENTRY | {"names": ["before"]}], []), ([ENTRY | node], []), ([], [])])

    assert ({}, None) == (picture(served.store), served.session.begun)


def test_where_it_goes_is_said_once() -> None:
    """At the beginning."""
    served = Served()
    begun, end = dumped(x={})
    served.restore_some(begun, first=True)
    with pytest.raises(InvalidArgument, match="first call"):
        served.restore_some(end, last=True, replace=True)


def test_what_has_not_begun_does_not_go_on() -> None:
    """Half of a restore is never taken for all of it, such as by a server that knows nothing of the beginning."""
    served = Served()
    begun, end = dumped(x={})
    for call, last in ((begun, False), (end, True)):
        with pytest.raises(Busy, match="has not begun"):
            served.restore_some(call, last=last)

    assert {} == picture(served.store)


def test_nobody_goes_on_with_what_another_has_begun() -> None:
    """A connection can be in the hands of several processes."""
    served = Served()
    begun, end = dumped(x={})
    served.restore_some(begun, first=True)
    with pytest.raises(InvalidArgument, match="another process"):
        served.restore_some(end, ADA, last=True)

    assert {} == picture(served.store)
