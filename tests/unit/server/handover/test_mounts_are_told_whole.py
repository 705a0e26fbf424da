"""What the kernel and its callers know of a mount is the same for the server that is told of it."""

import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.access import Target
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from fdstorefs.server.fuse import settled, telling
from fdstorefs.server.fuse.caller import Identity
from fdstorefs.server.fuse.elsewhere import Elsewhere
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.listing import Listing, Listings
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSocket
from fdstorefs.server.fuse.protocol import IN_HEADER, TRANSFER_SIZE
from fdstorefs.server.fuse.settled import Remembered
from fdstorefs.server.fuse.stash_handle import StashHandle
from fdstorefs.server.fuse.taking_over import NodesAgain, open_again, socket_again, unfinished_again
from fdstorefs.server.fuse.transfer import Unfinished
from fdstorefs.server.intake import Intake
from fdstorefs.server.kernel_facts import Home
from fdstorefs.server.passed import NotUnderstood, Packing
from fdstorefs.server.passed_files import FilesAgain, tell_files
from fdstorefs.server.shares import Most
from tests.unit.server.handover.arriving import arrived

IDS = st.integers(0, 2**32 - 1)
ROOT = Subject(0, 0)


def new_store() -> Store:
    """An empty one."""
    return Store(uid=0, gid=0, clock=lambda: 1)


SUBJECTS = st.builds(
    lambda uid, gid, pid, known, remembered: Subject(uid, gid, pid, known=known, look_up=lambda: remembered),
    IDS,
    IDS,
    IDS,
    st.booleans(),
    st.builds(
        Remembered,
        st.none() | st.frozensets(IDS, max_size=3),
        st.none() | IDS,
        st.none() | st.lists(IDS, min_size=1, max_size=3).map(tuple),
        st.none() | st.text(max_size=9),
    ),
)


def facts(subject: Subject) -> tuple[object, ...]:
    """All that is known of a subject."""
    own = (subject.uid, subject.gid, subject.pid, subject.known, subject.via)
    return (*own, subject.groups, subject.capabilities, subject.userns, subject.cgroup)


@given(SUBJECTS)
def test_who_has_opened_a_directory(subject: Subject) -> None:
    """As he was then."""
    packing = Packing()
    unpacking = arrived(packing, settled.tell(subject, packing))

    assert facts(subject) == facts(settled.again(unpacking.told, unpacking, Home()))


def test_his_user_namespace_is_held_on() -> None:
    """By itself, not by its number, which may soon be another's."""
    held = HeldNamespace(os.open("/proc/self/ns/user", os.O_RDONLY))
    remembered = Remembered(None, None, HeldChain(held), None)
    subject = Subject(1, 1, look_up=lambda: remembered)
    packing = Packing()
    unpacking = arrived(packing, settled.tell(subject, packing))
    again = settled.again(unpacking.told, unpacking, Home()).userns

    assert isinstance(again, HeldChain)
    assert (HeldChain(held), True) == (again, held.descriptor != again.held.descriptor)


@given(st.lists(st.sampled_from(["named", "known", "listed", "forgotten"]), max_size=9))
def test_what_has_no_name_any_more(fates: list[str]) -> None:
    """It is told if somebody knows it, with the boxes that it was in; and how often the kernel was told of each."""
    store, other = new_store(), new_store()
    listings = Listings()
    box = store.make_box(ROOT, store.root, "box", 0o700)
    for number, fate in enumerate(fates):
        inner = store.make_box(ROOT, box, str(number), 0o700)
        entry = store.create(ROOT, store.root, f"e{number}")
        for node in (inner, entry):
            if fate in ("named", "known"):
                node.lookups = number + 1
        if fate == "listed":
            listings.add(Listing(ROOT, inner, [(".", inner), ("..", box), ("e", entry)]))
        if fate != "named":
            store.remove_box(ROOT, Target(box, str(number), inner))
            store.discard(ROOT, Target(store.root, f"e{number}", entry))
        else:
            attach_again(other, inner, entry)
    if "named" not in fates:
        store.remove_box(ROOT, Target(store.root, "box", box))
    told = json.loads(json.dumps(telling.tell_nodes(store, Handles(Most(1, 1)), listings)))
    nodes = NodesAgain(told, telling.tell_lookups(store), other)
    expected = {number: node for number, node in store.tree.nodes.items() if node.lookups or node.links}

    assert {(n, node.lookups, node.links) for n, node in expected.items() if node is not box} == {
        (n, node.lookups, node.links) for n, node in other.tree.nodes.items() if n != box.ino
    }
    for _, listing in listings.numbered():
        again = nodes.box(listing.box.ino)
        assert (listing.box.ino, box.ino, False) == (
            again.ino,
            again.parent and again.parent.ino,
            again.is_attached,
        )


def attach_again(other: Store, inner: Box, entry: Entry) -> None:
    """What both servers have by its name."""
    assert inner.parent is not None
    box = other.root.children.get("box")
    if not isinstance(box, Box):
        box = Box(inner.parent.ino, 0, 0, 0o700, 1, 1)
        other.tree.attach(other.root, "box", box)
    other.tree.attach(box, inner.name, Box(inner.ino, 0, 0, 0o700, 1, 1))
    other.tree.attach(other.root, entry.places[0][1], Entry(entry.ino, 0, 0, 0o600, 1, 1))


@pytest.mark.parametrize("number", [2, 99])
def test_a_node_that_nobody_told_of(number: int) -> None:
    """The two stores differ, and that is not passed over."""
    with pytest.raises(NotUnderstood):
        NodesAgain([], [[number, 1]], new_store())


IDENTITIES = st.builds(
    Identity,
    IDS,
    IDS,
    st.tuples(IDS, IDS, IDS, IDS),
    st.tuples(IDS, IDS, IDS, IDS),
    st.frozensets(IDS, max_size=3),
    IDS,
    IDS,
    st.none() | IDS,
)


@given(st.none() | IDENTITIES, st.booleans(), st.booleans())
def test_a_handle_that_stashes(opener: Identity | None, done: bool, replacing: bool) -> None:
    """Who opened it, and whether it has."""
    entry = Entry(5, 0, 0, 0o600, 1, 1)
    handle, again = (StashHandle(None, entry, None, replacing=replacing) for _ in range(2))  # type: ignore[arg-type]
    handle._opener, handle._done = opener, done
    again.take_over(json.loads(json.dumps(handle.told())))

    assert (opener, done, handle.told()) == (again._opener, again._done, again.told())


@given(st.integers(0, 2**47), IDS, IDS, st.integers(0, 2**63))
def test_the_stores_own_sockets(ino: int, uid: int, gid: int, bound: int) -> None:
    """As they were bound."""
    own = OwnSocket(".fdstore", ino, uid, gid, bound)

    assert own == socket_again(json.loads(json.dumps(telling.tell_socket(own))))


@given(st.lists(st.builds(Unfinished, st.binary(max_size=99), st.integers(0, 99)), max_size=5))
def test_what_waits(waiting: list[Unfinished]) -> None:
    """In turn, each with what has been moved."""
    packing = Packing()
    unpacking = arrived(packing, {"waiting": telling.tell_waiting(waiting, packing)})

    assert waiting == unfinished_again(unpacking.told["waiting"], unpacking)


@pytest.fixture
def intake() -> Iterator[Intake]:
    """One that is empty."""
    descriptors = Descriptors()
    yield Intake(descriptors, RecursionGuard(None, os.getpid()), 4096)
    descriptors.drain(5)


def test_open_files_without_a_name(intake: Intake) -> None:
    """They come with a descriptor; one that both servers have by its name comes without."""
    ends = os.pipe()
    files = [OpenFile(end, "pipe", number=number, kept=True) for number, end in enumerate(ends, 1)]
    files[0].enter(Entry(5, 0, 0, 0o600, 1, 1))
    here = intake.restore(OpenFile(os.dup(ends[0]), "pipe", number=1, kept=True))
    packing = Packing()
    unpacking = arrived(packing, {"files": tell_files([*files, *files], packing)})
    again = FilesAgain(unpacking.told["files"], unpacking, intake)

    assert [2] == [fields["n"] for fields in unpacking.told["files"]]
    assert (here, "pipe", 2, False) == (
        again.get(1),
        again.get(2).kind,
        again.get(2).number,
        again.get(2).kept,
    )
    with pytest.raises(NotUnderstood):
        again.get(3)
    for file in (again.get(1), again.get(2)):
        file.hold().drop()
    for end in ends:
        os.close(end)


def request(unique: int, handle: int) -> bytes:
    """A READ."""
    return (
        IN_HEADER.pack(TRANSFER_SIZE, 15, unique, 1, 0, 0, 0, 0, 0) + handle.to_bytes(8, "little") + bytes(32)
    )


def test_calls_that_another_server_answers() -> None:
    """Signals for their callers are passed on, and not forgotten; each call is taken once."""
    elsewhere, passed = Elsewhere(), list[int]()
    elsewhere.pass_interrupt = passed.append
    for unique in (1, 2):
        elsewhere.add(request(unique, unique + 10))

    assert ([True, False], [1]) == ([elsewhere.interrupt(unique) for unique in (1, 3)], passed)
    assert (11, None) == (elsewhere.handle_of(1), elsewhere.handle_of(3))
    assert [(request(1, 11), True), (request(2, 12), False), (b"", False)] == [
        elsewhere.take(unique) for unique in (1, 2, 1)
    ]
    assert frozenset() == elsewhere.numbers


def test_a_handle_counts_for_whoever_opened_it() -> None:
    """In the other server, too: he has no more room there than here."""
    store = new_store()
    entry = store.create(ROOT, store.root, "e")
    handles, again = Handles(Most(2, 4)), Handles(Most(2, 4))
    for uid in (7, 7, 8):
        handles.add(StashHandle(None, entry, None, replacing=False), uid)  # type: ignore[arg-type]
    told = json.loads(json.dumps(telling.tell_handles(handles)))
    nodes = NodesAgain([], [], store)
    opening = Opening(None, again, None, None, None)  # type: ignore[arg-type]
    open_again(told, again, nodes, None, opening)  # type: ignore[arg-type]
    with pytest.raises(QuotaExceeded, match="uid 7 has 2 of 2"):
        again.require_room(7)
    again.require_room(8)

    assert [7, 7, 8] == [again.opener(number) for number, _ in again.numbered()]
