"""Whom a server can have guarded as its keeper, what a keeper may have, and for how long it is one."""

import errno
import os
import signal
from collections.abc import Callable

import pytest

from tests.kernel import reaching
from tests.kernel.actor import Actor, Obedient
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET, Attacker, Siege
from tests.kernel.children import Child
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.handing import handed
from tests.kernel.people import ALICE, BOB, Person
from tests.kernel.policies import ELSEWHERE
from tests.kernel.registering import DONE, mount_nothing, protect, protected, register
from tests.mount.waiting import wait_for

SECONDS = 120

only_the_user = pytest.mark.parametrize("kind", [Attacker.SAME_UID], ids=[Attacker.SAME_UID.value])

Start = Callable[..., Actor]
Bear = Callable[[Obedient], Child]


@pytest.fixture
def home(actor: Start) -> int:
    """A process of Alice's in a user namespace of its own. Whoever serves or keeps cannot be joined any more."""
    return actor(ALICE, namespace=True).pid


@pytest.fixture
def beside(home: int, actor: Start) -> Start:
    """Start processes of Alice's in the same user namespace."""
    return lambda: actor(ALICE, joins=home)


@pytest.fixture
def server(enforcer: EnforcerProcess, beside: Start) -> Actor:
    """One of them, which serves an instance."""
    return registered(beside())


def registered(server: Actor) -> Actor:
    """Have it mount something and register that."""
    assert DONE == server.call(register, server.call(mount_nothing))
    return server


def test_a_child_of_its_own_can_be_a_keeper(server: Actor, child: Bear) -> None:
    """To say so twice is to say it once."""
    keeper = child(server)

    assert [DONE, DONE] == [protected(server, keeper.pid), protected(server, keeper.pid)]


def test_so_can_its_parent(enforcer: EnforcerProcess, beside: Start, child: Bear) -> None:
    """It starts the next server, too, which has its role until it has its own."""
    parent = beside()
    first = child(parent)
    first_outcome = (first.call(register, first.call(mount_nothing)), protected(first, parent.pid))
    first.end()
    next_one = child(parent)

    assert (DONE, DONE) == first_outcome
    assert DONE == next_one.call(register, next_one.call(mount_nothing))
    assert DONE == protected(next_one, parent.pid)


def test_so_can_whom_a_keeper_has_started(server: Actor, child: Bear) -> None:
    """Its spare takes its place when it is killed. One that is older than its parent's role cannot."""
    keeper = child(server)
    too_early = child(keeper)
    protected(server, keeper.pid)
    spare = child(keeper)
    keeper.end()

    assert ["NotPermitted", DONE] == [protected(server, too_early.pid), protected(server, spare.pid)]


def test_a_process_beside_it_cannot(server: Actor, beside: Start) -> None:
    """Its user's processes are not all its own. They stay as open as they were."""
    other = beside()

    assert "NotPermitted" == protected(server, other.pid)
    assert 0 in beside().call(reaching.copy_all, other.pid)


def test_nor_can_a_child_in_another_control_group(
    server: Actor, child: Bear, control_groups: ControlGroups
) -> None:
    """Policies tell control groups apart, and a keeper has what its instance keeps."""
    keeper = child(server)
    (control_groups[ELSEWHERE] / "cgroup.procs").write_text(str(keeper.pid))

    assert "NotPermitted" == protected(server, keeper.pid)


def test_there_is_one_at_a_time(server: Actor, child: Bear, beside: Start) -> None:
    """The former one is nobody then."""
    former, keeper = child(server), child(server)
    protected(server, former.pid)

    assert DONE == protected(server, keeper.pid)
    found = [beside().call(reaching.copy_all, each.pid) for each in (former, keeper)]
    assert (True, [errno.EPERM]) == (0 in found[0], found[1])


def test_a_child_can_be_a_server_itself(server: Actor, child: Bear) -> None:
    """Until then it has what its parent is."""
    another = child(server)

    assert DONE == another.call(register, another.call(mount_nothing))


@pytest.mark.parametrize(
    ("who", "namespace"),
    [(ALICE, False), (ALICE, True), (BOB, False), (BOB, True), (None, False)],
    ids=["its user outside", "its user elsewhere", "another user", "another user elsewhere", "root"],
)
def test_nobody_else_can(server: Actor, actor: Start, who: Person | None, namespace: bool) -> None:
    """His own debugger would be shut out of him; he stays as open as he was."""
    other = actor(who, namespace=namespace)
    peer = actor(who, joins=other.pid if namespace else None)

    assert "NotPermitted" == protected(server, other.pid)
    assert [0] == peer.call(reaching.seize, other.pid)
    assert 0 in peer.call(reaching.copy_all, other.pid)


def test_roots_server_cannot_have_just_anybody(actor: Start, child: Bear, enforcer: EnforcerProcess) -> None:
    """Not whom it is privileged over, and not the enforcer, which is root as well."""
    server = registered(actor())
    others = (actor(ALICE).pid, actor(ALICE, namespace=True).pid, enforcer.pid)

    assert ["NotPermitted"] * 3 == [protected(server, pid) for pid in others]
    assert DONE == protected(server, child(server).pid)


def test_who_has_a_role_gets_no_other(server: Actor, beside: Start, child: Bear) -> None:
    """A server is no keeper, not even its own; and one instance's keeper is no other's, nor a server."""
    another, keeper = registered(beside()), child(server)
    mount = keeper.call(mount_nothing)
    protected(server, keeper.pid)

    assert ["NotPermitted"] * 3 == [
        protected(server, server.pid),
        protected(server, another.pid),
        protected(another, keeper.pid),
    ]
    assert "NotPermitted" == keeper.call(register, mount)


def test_it_takes_a_server_and_a_pidfd(server: Actor, beside: Start) -> None:
    """Whoever has registered nothing has no keeper; a directory in /proc is no pidfd, and nothing is nobody."""
    nobody = beside()
    directory = os.open(f"/proc/{nobody.pid}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        outcomes = [
            protected(nobody, beside().pid),
            server.call(protect, descriptors=(directory,)),
            server.call(protect),
        ]
    finally:
        os.close(directory)

    assert ["NotRegistered", "BadDescriptor", "BadDescriptor"] == outcomes


def test_who_has_ended_is_nobody(server: Actor, child: Bear) -> None:
    """A pidfd of him is still there."""
    keeper = child(server)
    pidfd = os.pidfd_open(keeper.pid)
    try:
        keeper.end()
        outcome = server.call(protect, descriptors=(pidfd,))
    finally:
        os.close(pidfd)

    assert "NoSuchProcess" == outcome


@only_the_user
def test_a_keeper_has_what_its_instance_keeps(
    siege: Siege, instance: Callable[..., GuardedInstance], child: Bear
) -> None:
    """Whatever the policy says of who it is; and no other instance's keeper has it."""
    another = instance()
    stranger = child(another.inside)
    another.protect(stranger.pid)

    found = [handed(siege.service, who, NAME)[0]["texts"] for who in (siege.keeper, stranger, siege.ordinary)]

    assert [[SECRET], [], []] == found
    for pid in (stranger.pid, siege.ordinary.pid):
        assert "no-rule" == siege.log.denial(pid, action="retrieve")["reason"]


@only_the_user
def test_it_is_a_keeper_for_good(siege: Siege, enforcer: EnforcerProcess) -> None:
    """Guarded when its server has ended, and when the enforcer comes anew; by whom it was when it is looked into."""
    os.kill(siege.server.pid, signal.SIGKILL)
    wait_for(
        lambda: all(each.ended for each in enforcer.status().instances if each.mount == siege.mount),
        SECONDS,
        "the end of the server",
    )
    without_server = siege.attacker.call(reaching.copy_all, siege.keeper.pid)
    enforcer.kill()
    without_both = siege.attacker.call(reaching.copy_all, siege.keeper.pid)
    enforcer.start()
    at_last = siege.attacker.call(reaching.copy_all, siege.keeper.pid)

    assert [[errno.EPERM]] * 3 == [without_server, without_both, at_last]
    assert [SECRET] == handed(siege.service, siege.keeper, NAME)[0]["texts"]
