"""Instances come when everything is there for them, and go when nothing of theirs is left."""

import os

import pytest

from fdstorefs.bpf.abi import ENDED, Key, Role, RoleKind, Table
from fdstorefs.enforcer.errors import AlreadyRegistered, NotRegistered
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.enforcer.sweeping import Found, Sweeper, find
from fdstorefs.errors import NotPermitted, QuotaExceeded
from fdstorefs.server.loop import Loop
from fdstorefs.server.varlink.shares import Shares
from tests.unit.enforcer.enforced import POLICY, Enforced, name, this_process


def test_its_role_comes_last(enforced: Enforced) -> None:
    """The fake kernel insists on it."""
    instance = enforced.admit()

    assert Role(RoleKind.SERVER, instance.number) == enforced.kernel.roles[os.getpid()]
    assert instance.number == enforced.kernel.mounts[77]


def test_without_its_role_nothing_is_left(enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration that fails half-way is taken back."""

    def fail(*_arguments: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(enforced.kernel, "set_role", fail)
    with pytest.raises(ProcessLookupError):
        enforced.admit()

    assert ({}, {}) == (enforced.kernel.known_instances, enforced.kernel.mounts)
    assert not [key for key in enforced.kernel.rows if key.of]
    assert 0 == len(enforced.registry)


def test_the_same_process_is_known_again(enforced: Enforced) -> None:
    """By the role that the kernel keeps for it."""
    instance = enforced.admit()
    pidfd = os.pidfd_open(os.getpid())

    found = enforced.registry.known(this_process(), Seen("/m", 77), pidfd, {77})
    os.close(pidfd)

    assert instance is found


def test_a_server_serves_one_mount(enforced: Enforced) -> None:
    """With another it needs another process."""
    enforced.admit()
    pidfd = os.pidfd_open(os.getpid())

    with pytest.raises(AlreadyRegistered):
        enforced.registry.known(this_process(), Seen("/other", 78), pidfd, {77, 78})
    os.close(pidfd)


def test_a_process_may_serve_another_when_the_first_is_unmounted(enforced: Enforced) -> None:
    """Not every server ends with its instance."""
    instance = enforced.admit()
    pidfd = os.pidfd_open(os.getpid())

    found = enforced.registry.known(this_process(), Seen("/other", 78), pidfd, {78})
    os.close(pidfd)

    assert None is found
    assert instance.has_ended
    assert 2 == enforced.admit("/other", 78).number


def test_a_mount_has_one_server(enforced: Enforced) -> None:
    """While it lives."""
    enforced.admit()

    with pytest.raises(AlreadyRegistered):
        enforced.admit()


def test_the_end_of_a_server(enforced: Enforced) -> None:
    """Its mount is nobody's, and what it tagged stays."""
    instance = enforced.admit()
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))

    enforced.registry.end(instance)

    assert enforced.kernel.known_instances[instance.number].flags & ENDED
    assert {} == enforced.kernel.mounts
    assert enforced.set_of(instance, fd) in enforced.kernel.sets
    assert ([instance], [instance]) == (enforced.left, enforced.ended)
    with pytest.raises(NotRegistered):
        enforced.registry.of_server(instance.number)


def test_who_comes_after_it_takes_its_place(enforced: Enforced) -> None:
    """The same user on the same path, with the same policies: a server that was restarted."""
    former = enforced.admit()
    enforced.registry.end(former)

    later = enforced.admit(device=99)

    assert former.number == later.number
    assert not enforced.kernel.known_instances[later.number].flags & ENDED


@pytest.mark.parametrize("mount", ["/elsewhere", "/m"])
def test_another_does_not(enforced: Enforced, mount: str) -> None:
    """Neither on another path, nor one for whom other policies are in force."""
    former = enforced.admit()
    enforced.registry.end(former)
    enforced.enforcement._in_force[former.number] = enforced.enforcement.generation.everything
    if mount == "/m":
        enforced.enforcement._in_force.clear()

    assert former.number != enforced.admit(mount, 99).number


def test_one_user_cannot_fill_the_table(enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have ended count while something is tagged for them."""
    monkeypatch.setattr(enforced.registry, "_quota", Shares(1, 10))
    instance = enforced.admit()
    enforced.registry.end(instance)

    with pytest.raises(QuotaExceeded):
        enforced.admit("/other", 78)
    enforced.registry.forget(instance)
    enforced.admit("/other", 78)


def test_a_keeper_is_the_servers_own(enforced: Enforced) -> None:
    """Of the same user, in the same user namespace, and nobody who has another role."""
    instance = enforced.admit()
    pidfd = os.pidfd_open(os.getpid())

    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, this_process(), pidfd)
    enforced.kernel.roles.clear()
    instance.uid += 1
    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, this_process(), pidfd)
    instance.uid -= 1
    enforced.registry.protect(instance, this_process(), pidfd)
    os.close(pidfd)

    assert Role(RoleKind.KEEPER, instance.number) == enforced.kernel.roles[os.getpid()]


def test_what_has_gone_without_a_word(enforced: Enforced) -> None:
    """Sets that no file bears any more, and ended instances for which nothing is tagged."""
    instance = enforced.admit()
    gone, kept = enforced.open_file(), enforced.open_file()
    enforced.guard(instance, gone, name("a", 5))
    enforced.guard(instance, kept, name("b", 6))
    kept_set, gone_set = enforced.set_of(instance, kept), enforced.set_of(instance, gone)
    assert kept_set is not None
    assert gone_set is not None
    del enforced.kernel.tags[os.fstat(gone).st_ino]
    loop = Loop()
    sweeper = Sweeper(loop, enforced.kernel, enforced.book, enforced.guarding, enforced.registry)

    number = enforced.book.begin_sweep()
    sweeper.sweep(number, find(enforced.kernel))
    enforced.clear()
    assert [kept_set] == list(enforced.kernel.sets)
    enforced.registry.end(instance)
    enforced.kernel.tags.clear()
    sweeper.sweep(enforced.book.begin_sweep(), find(enforced.kernel))
    loop.close()

    assert 0 == len(enforced.registry)
    assert Key(Table.SET, instance.number) not in enforced.kernel.rows
    assert {} == enforced.kernel.known_instances


def test_what_is_guarded_during_a_sweep_stays(enforced: Enforced) -> None:
    """What was looked at before a file was guarded says nothing of it."""
    instance = enforced.admit()
    loop = Loop()
    sweeper = Sweeper(loop, enforced.kernel, enforced.book, enforced.guarding, enforced.registry)
    number = enforced.book.begin_sweep()
    enforced.guard(instance, enforced.open_file(), name("a", 5))

    sweeper.sweep(number, Found(frozenset(), frozenset(), {}))
    enforced.clear()
    loop.close()

    assert 1 == len(enforced.kernel.sets)


def test_sets_of_a_former_enforcer_go(enforced: Enforced) -> None:
    """Once no file bears them."""
    instance = enforced.admit()
    enforced.guard(instance, enforced.open_file(), name("a", 5))
    (strange,) = enforced.kernel.sets
    enforced.book.set_aside(strange)
    enforced.book.remove(strange)
    enforced.kernel.tags.clear()
    loop = Loop()
    sweeper = Sweeper(loop, enforced.kernel, enforced.book, enforced.guarding, enforced.registry)

    sweeper.sweep(enforced.book.begin_sweep(), find(enforced.kernel))
    loop.close()

    assert ({}, {}) == (enforced.kernel.sets, enforced.kernel.classes)


def test_policies_change_for_ended_instances_too(enforced: Enforced) -> None:
    """What their servers left is still delivered by somebody."""
    instance = enforced.admit()
    enforced.registry.end(instance)

    generation = enforced.adopt(POLICY.replace("web", "db"))

    assert generation.number == enforced.kernel.rows[Key(Table.SET, instance.number)][1]
