"""Instances come when everything is there for them, and go when nothing of theirs is left."""

import os
from dataclasses import dataclass, replace

import pytest

from fdstorefs.bpf.abi import ENDED, UNGUARDED, Key, Role, RoleKind, Table
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.errors import AlreadyRegistered, NotRegistered
from fdstorefs.enforcer.instance import payer_of
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.enforcer.sweeping import Found, Sweeper, find
from fdstorefs.errors import QuotaExceeded
from fdstorefs.server.loop import Loop
from fdstorefs.server.shares import Shares
from tests.unit.enforcer.enforced import POLICY, Enforced, name, standing, this_process


def test_its_role_comes_last(enforced: Enforced) -> None:
    """The fake kernel insists on it."""
    instance = enforced.admit()

    assert Role(RoleKind.SERVER, instance.number) == enforced.kernel.roles[os.getpid()]
    assert instance.number == enforced.kernel.known_mounts[77]


def test_without_its_role_nothing_is_left(enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration that fails half-way is taken back."""

    def fail(*_arguments: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(enforced.kernel, "set_role", fail)
    with pytest.raises(ProcessLookupError):
        enforced.admit()

    assert ({}, {}) == (enforced.kernel.known_instances, enforced.kernel.known_mounts)
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
    assert {} == enforced.kernel.known_mounts
    assert enforced.set_of(instance, fd) in enforced.kernel.sets
    assert ([instance], [instance]) == (enforced.left, enforced.ended)
    with pytest.raises(NotRegistered):
        enforced.registry.of_server(Who(instance.number, instance.pid, instance.start))


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


def test_in_another_control_group_it_is_another(enforced: Enforced) -> None:
    """The policy may well keep from it what the former had: of the same user is not enough. Unknown is another."""
    former = enforced.admit()
    enforced.registry.end(former)
    numbers = [former.number]
    for device, cgroup in ((78, "/else"), (79, None), (80, None)):
        pidfd = os.pidfd_open(os.getpid())
        process = replace(this_process(), cgroup=cgroup, start=this_process().start + device)
        in_force = enforced.enforcement.generation.for_instance(standing())
        later = enforced.registry.admit(process, Seen("/m", device), pidfd, in_force)
        numbers.append(later.number)
        enforced.registry.end(later)

    assert 4 == len(set(numbers))
    lineages = [each.lineage for each in enforced.kernel.known_instances.values()]
    assert 4 == len(set(lineages))


def test_a_mount_that_has_gone_is_nobodys(enforced: Enforced) -> None:
    """Its server may live on, and the number of its device be another's."""
    former = enforced.admit()
    enforced.kernel.known_mounts.clear()

    later = enforced.admit("/other")

    assert (True, {77: later.number}) == (former.has_ended, enforced.kernel.known_mounts)


def test_a_process_may_serve_another_when_the_kernel_has_forgotten_the_first(enforced: Enforced) -> None:
    """Whatever lies on that device by now."""
    instance = enforced.admit()
    enforced.kernel.known_mounts.clear()
    pidfd = os.pidfd_open(os.getpid())

    found = enforced.registry.known(this_process(), Seen("/other", 78), pidfd, {77, 78})
    os.close(pidfd)

    assert (None, True) == (found, instance.has_ended)


def test_the_end_leaves_anothers_mount(enforced: Enforced) -> None:
    """Which has come to have the number of its device."""
    instance = enforced.admit()
    enforced.kernel.known_mounts[77] = 99

    enforced.registry.end(instance)

    assert {77: 99} == enforced.kernel.known_mounts


def test_who_serves_no_more_is_no_server(enforced: Enforced) -> None:
    """He may live on, and would be one of what comes after it."""
    instance = enforced.admit()

    enforced.registry.end(instance)

    assert {} == enforced.kernel.roles


def test_the_end_is_done_as_far_as_it_can_be(enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails keeps nothing else from being done."""

    def fail(*_arguments: object) -> None:
        raise KernelError("update", "cannot", where="maps", why="broken", hint="mend it")

    instance = enforced.admit()
    for broken in ("remove_mount", "put_instance", "clear_role"):
        monkeypatch.setattr(enforced.kernel, broken, fail)

    enforced.registry.end(instance)

    assert (True, [instance]) == (instance.has_ended, enforced.ended)


def test_an_heir_that_cannot_come_leaves_no_mount(
    enforced: Enforced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies while it is registered."""

    def fail(*_arguments: object) -> None:
        raise ProcessLookupError

    former = enforced.admit()
    enforced.registry.end(former)
    monkeypatch.setattr(enforced.kernel, "set_role", fail)

    with pytest.raises(ProcessLookupError):
        enforced.admit(device=99)

    assert {} == enforced.kernel.known_mounts
    assert enforced.kernel.known_instances[former.number].flags & ENDED


@dataclass
class Who:
    """Who has registered on a connection."""

    instance: int | None
    pid: int
    start: int | None


def test_a_connection_speaks_for_who_registered(enforced: Enforced) -> None:
    """Not for whoever has the number of instance or process now."""
    instance = enforced.admit()
    number, pid, start = instance.number, instance.pid, instance.start

    assert instance is enforced.registry.of_server(Who(number, pid, start))
    for who in (Who(None, pid, None), Who(9, pid, start), Who(number, 1, start), Who(number, pid, start + 1)):
        with pytest.raises(NotRegistered):
            enforced.registry.of_server(who)


def test_entries_of_no_mount_go(enforced: Enforced) -> None:
    """Their device is soon another's."""
    instance = enforced.admit()
    enforced.guard(instance, enforced.open_file(), name("a", 5))
    enforced.kernel.put_entry(99, 5, UNGUARDED)
    loop = Loop()
    sweeper = Sweeper(loop, enforced.kernel, enforced.book, enforced.guarding, enforced.registry)

    sweeper.sweep(enforced.book.begin_sweep(), find(enforced.kernel))
    loop.close()

    assert {(77, 5)} == enforced.kernel.known_entries.keys()


def test_one_user_cannot_fill_the_table(enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have ended count while something is tagged for them."""
    monkeypatch.setattr(enforced.registry, "_quota", Shares(1, 10))
    instance = enforced.admit()
    enforced.registry.end(instance)

    with pytest.raises(QuotaExceeded):
        enforced.admit("/other", 78)
    enforced.registry.forget(instance)
    enforced.admit("/other", 78)


@pytest.mark.parametrize(
    ("owners", "payer"), [((0,), 1000), ((1001, 0), 1001), ((7, 1002, 0), 1002)], ids=["host", "one", "two"]
)
def test_who_pays(owners: tuple[int, ...], payer: int) -> None:
    """Who made the outermost user namespace: in there he is as many users as he likes."""
    assert payer == payer_of(1000, owners)


def test_the_kernel_is_told_who_pays(enforced: Enforced) -> None:
    """It counts tags by it."""
    instance = enforced.admit()
    instance.chain, instance.owners = (9, 8, 7), (0, 1002, 0)

    assert 1002 == instance.record().payer


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
