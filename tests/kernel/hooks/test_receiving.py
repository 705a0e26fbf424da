"""A tagged file reaches whom the policy lets retrieve it, by whatever way a descriptor is installed."""

import os
import socket
from collections.abc import Callable

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Event, Hook, Reason, RoleKind, Slot, Tag
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.policy.vocabulary import Mode
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.conftest import TAGS, fetch
from tests.kernel.hooks.instance import INITIAL, Instance, bob_may
from tests.kernel.people import ALICE, BOB, MALLORY

Deliver = Callable[..., bool]
Start = Callable[..., Actor]


def only(kernel: Kernel) -> Event:
    """The one record there is."""
    (event,) = kernel.ring.read()
    return event


def test_the_policy_decides(actor: Start, deliver: Deliver, held: int) -> None:
    """Who may retrieve it gets it, who may not does not: not its owner either, nor root."""
    people = [BOB, MALLORY, ALICE, None]

    assert [True, False, False, False] == [deliver(actor(who), held) for who in people]


def test_peeking(actor: Start, held: int) -> None:
    """MSG_PEEK gets no more than receiving, which still finds the message there."""
    got = []
    for who in (actor(BOB), actor(MALLORY)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(ours, [b"x"], [held])
            for flags in (socket.MSG_PEEK, socket.MSG_PEEK, socket.MSG_DONTWAIT):
                inodes, found = who.call(acts.received, flags, descriptors=(theirs.fileno(),))
                got.append((inodes, bool(found & socket.MSG_CTRUNC)))

    assert [([os.fstat(held).st_ino], False)] * 3 + [([], True)] * 3 == got


def test_copies(actor: Start, deliver: Deliver, held: int) -> None:
    """A dup is the same file; a new opening of a memfd is another, which whoever could open it could hand on anyway."""
    copy = os.dup(held)
    try:
        assert not deliver(actor(MALLORY), copy)
    finally:
        os.close(copy)


def test_a_place(actor: Start, deliver: Deliver, instance: Instance, kernel: Kernel) -> None:
    """An O_PATH descriptor is tagged and refused like any other."""
    alice = actor(ALICE)
    fd = fetch(alice, alice.call(os.open, "/etc", os.O_PATH))
    try:
        kernel.tag(fd, instance.number, instance.class_set())

        assert (False, True) == (deliver(actor(MALLORY), fd), deliver(actor(BOB), fd))
    finally:
        os.close(fd)


def test_getting_it_out_of_a_process(actor: Start, held: int) -> None:
    """Pidfd_getfd fails, for root too; for whom the policy lets have it, it does not."""
    bob, root = actor(BOB), actor()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(ours, [b"x"], [held])
        (number,) = bob.call(acts.keep, descriptors=(theirs.fileno(),))
    other = actor(BOB)
    with pytest.raises(PermissionError) as refused:
        root.call(acts.fetched, bob.pid, number)

    assert 13 == refused.value.errno
    assert os.fstat(held).st_ino == other.call(acts.fetched, bob.pid, number)


def test_other_files_pass(actor: Start, deliver: Deliver, held: int) -> None:
    """What nobody keeps is delivered to everybody."""
    fd = os.memfd_create("nobody's")
    try:
        assert deliver(actor(MALLORY), fd)
    finally:
        os.close(fd)


def test_a_refusal_is_on_record(actor: Start, deliver: Deliver, held: int, instance: Instance) -> None:
    """With whom, what, whose, and by what generation."""
    mallory = actor(MALLORY)
    deliver(mallory, held)
    event = only(instance.kernel)
    status = os.fstat(held)

    assert (Hook.RECEIVE, Reason.BY_NO_RULE, False, False) == (
        event.hook,
        event.reason,
        event.allowed,
        event.decided,
    )
    assert (mallory.pid, mallory.pid, MALLORY.uid, MALLORY.uid, MALLORY.uid, INITIAL) == (
        event.tgid,
        event.tid,
        event.uid,
        event.euid,
        event.gid,
        event.userns,
    )
    assert (instance.number, instance.generation) == (event.instance, event.generation)
    assert (status.st_ino, status.st_mode) == (event.inode, event.mode)
    assert (ALICE.uid, abi.KNOWS_UID | abi.KNOWS_CAPABILITIES | abi.KNOWS_USERNS) == (
        event.opener.uid,
        event.opener.known,
    )


def test_what_is_allowed_is_on_record_if_asked(
    actor: Start, deliver: Deliver, held: int, kernel: Kernel
) -> None:
    """Otherwise not."""
    bob = actor(BOB)
    deliver(bob, held)
    before = kernel.ring.read()
    kernel.set_record_allowed(True)
    try:
        deliver(bob, held)
    finally:
        kernel.set_record_allowed(False)
    event = only(kernel)

    assert ([], True, Reason.BY_RULE, 1) == (before, event.allowed, event.reason, event.terms)


def test_monitor_mode(actor: Start, deliver: Deliver, kernel: Kernel, alices: int) -> None:
    """Nothing is refused, and what would be is on record."""
    instance = Instance(kernel, bob_may(Mode.MONITOR))
    kernel.publish(instance.rows(), instance.generation)
    kernel.tag(alices, instance.number, instance.class_set())
    got = deliver(actor(MALLORY), alices)
    event = only(kernel)

    assert (True, True, False, Reason.BY_NO_RULE) == (got, event.allowed, event.decided, event.reason)


def test_not_classified_yet(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """Goes to nobody."""
    instance.kernel.tag(alices, instance.number, abi.NO_CLASSES)

    assert not deliver(actor(BOB), alices)
    assert Reason.UNCLASSIFIED == only(instance.kernel).reason


def test_what_is_missing_is_no_permission(
    actor: Start, deliver: Deliver, instance: Instance, alices: int
) -> None:
    """A class set, an instance, the rows of a class, the tables as a whole: each lack denies, with its reason."""
    kernel, bob = instance.kernel, actor(BOB)
    good = instance.class_set()
    other = Instance(kernel, bob_may())

    def reason(class_set: int) -> int:
        kernel.tag(alices, instance.number, class_set)
        assert not deliver(bob, alices)
        return only(kernel).reason

    reasons = [reason(999_999), reason(other.class_set())]
    kernel.publish(instance.rows(), instance.generation)
    reasons.append(reason(good))
    kernel.publish([], instance.generation)
    reasons.append(reason(good))
    kernel.remove_instance(instance.number)
    assert not deliver(bob, alices)
    reasons.append(only(kernel).reason)

    assert [Reason.MISSING, Reason.MISSING, Reason.STALE, Reason.MISSING, Reason.MISSING] == reasons


def test_several_instances(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """Each that keeps a file has to allow."""
    kernel, bob = instance.kernel, actor(BOB)
    second = Instance(kernel, bob_may())
    kernel.publish([*instance.rows(), *second.rows()], instance.generation)
    kernel.tag(alices, instance.number, instance.class_set())
    alone = deliver(bob, alices)
    kernel.tag(alices, second.number, second.class_set())
    both = deliver(bob, alices)
    kernel.tag(alices, second.number, abi.NO_CLASSES)
    one = deliver(bob, alices)
    kernel.untag(alices, second.number)

    assert (True, True, False, True) == (alone, both, one, deliver(bob, alices))


def test_the_instances_own_processes(actor: Start, deliver: Deliver, held: int, instance: Instance) -> None:
    """Server and keeper get what they keep; those of another instance do not."""
    got = []
    for kind in (RoleKind.SERVER, RoleKind.KEEPER):
        process = actor(ALICE)
        instance.give_role(process.pid, kind)
        got.append(deliver(process, held))
    stranger = actor(ALICE)
    Instance(instance.kernel, bob_may()).give_role(stranger.pid, RoleKind.SERVER)
    got.append(deliver(stranger, held))

    assert [True, True, False] == got


def test_what_comes_after_an_instance(actor: Start, deliver: Deliver, kernel: Kernel, alices: int) -> None:
    """The server of the same lineage gets what an ended instance kept, and may classify it anew in its place."""
    first = Instance(kernel, bob_may(), lineage=7)
    second = Instance(kernel, bob_may(), lineage=7)
    kernel.publish([*first.rows(), *second.rows()], first.generation)
    kernel.tag(alices, first.number, first.class_set())
    server = actor(ALICE)
    second.give_role(server.pid, RoleKind.SERVER)
    while_alive = deliver(server, alices)
    first.end()
    afterwards = deliver(server, alices)
    anew = second.class_set()
    kernel.tag(alices, second.number, anew)

    assert (False, True) == (while_alive, afterwards)
    assert [Tag((Slot(second.number, anew),))] == list(kernel.tagged())
    assert deliver(actor(BOB), alices)


def test_what_a_server_receives(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """Is delivered to nobody else until it has been classified."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    got = deliver(server, alices)
    tagged = list(instance.kernel.tagged())

    assert (True, [Tag((Slot(instance.number, abi.NO_CLASSES),))]) == (got, tagged)
    assert not deliver(actor(BOB), alices)
    instance.kernel.tag(alices, instance.number, instance.class_set())
    assert deliver(actor(BOB), alices)


def test_what_is_somebody_elses(actor: Start, deliver: Deliver, instance: Instance) -> None:
    """A server that is given what root opened gets it, and does nothing to it."""
    server, fd = actor(ALICE), os.memfd_create("root's")
    instance.give_role(server.pid, RoleKind.SERVER)
    try:
        got = deliver(server, fd)

        assert (True, [], True) == (got, list(instance.kernel.tagged()), deliver(actor(MALLORY), fd))
    finally:
        os.close(fd)


def test_no_room_for_a_tag(actor: Start, deliver: Deliver, instance: Instance, alices: int) -> None:
    """A server does not get what could not be protected, and that is on record; what is tagged stays so."""
    kernel, server, alice = instance.kernel, actor(ALICE), actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    files = [fetch(alice, alice.call(acts.memfd)) for _ in range(TAGS + 1)]
    results = []
    for fd in files:
        try:
            kernel.tag(fd, instance.number, abi.NO_CLASSES)
            results.append(0)
        except OSError as error:
            results.append(error.errno or -1)
    got = deliver(server, alices)
    reason = only(kernel).reason
    still = deliver(actor(BOB), files[0])
    for fd in files:
        os.close(fd)
    alice.end()

    assert ([0] * TAGS + [28], False, Reason.NO_ROOM, False) == (results, got, reason, still)


def test_tags_go_with_the_file(instance: Instance, actor: Start) -> None:
    """When the last descriptor is closed."""
    alice = actor(ALICE)
    number = alice.call(acts.memfd)
    fd = fetch(alice, number)
    instance.kernel.tag(fd, instance.number, abi.NO_CLASSES)
    before = len(list(instance.kernel.tagged()))
    os.close(fd)
    alice.call(os.close, number)

    assert (1, []) == (before, list(instance.kernel.tagged()))
