"""What a former enforcer left is taken over as far as it still means something."""

import os
from dataclasses import replace

import pytest

from fdstorefs.bpf.abi import ENDED, UNGUARDED, Role, RoleKind
from fdstorefs.enforcer import reconciling
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.reconciling import take_over
from fdstorefs.enforcer.room import Cost
from fdstorefs.enforcer.state import State
from fdstorefs.errors import NotPermitted
from tests.unit.enforcer.enforced import Enforced, name

NOBODYS = 1 << 22


def taken_over(enforced: Enforced, instance: Instance, *, knows: bool = True) -> Enforced:
    """The next enforcer."""
    later = Enforced(enforced.kernel)
    standings = {instance.number: instance.standing} if knows else {}
    files = dict(enforced.book.of(instance.number))
    take_over(enforced.kernel, later.registry, later.guarding, State(instances=standings, files=files))
    return later


def test_what_is_there_is_taken_over_and_counted(enforced: Enforced, instance: Instance) -> None:
    """Also what no server keeps any more, and what nobody guards."""
    kept, released, unguarded = (enforced.open_file(authority=each) for each in (True, True, False))
    for fd, number in ((kept, 5), (released, 6), (unguarded, 7)):
        enforced.guard(instance, fd, name("a", number))
    enforced.guarding.release(instance, released)

    later = taken_over(enforced, instance)

    (found,) = later.registry
    assert (False, 77) == (found.has_ended, found.device)
    assert Cost(2, 4) == later.guarding._room.used(found.payer)
    assert (2, [5, 7]) == (later.book.count(found.number), sorted(later.book.take_entries(found.number)))


def test_an_instance_that_is_not_known_leaves_no_mount(enforced: Enforced, instance: Instance) -> None:
    """The number of its device is soon another's."""
    enforced.kernel.roles.clear()

    later = taken_over(enforced, instance, knows=False)

    assert (0, {}, {}) == (
        len(later.registry),
        enforced.kernel.known_instances,
        enforced.kernel.known_mounts,
    )


def test_mounts_and_entries_of_nobody_go(enforced: Enforced, instance: Instance) -> None:
    """They would be those of whoever gets the number of the device next."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    kernel = enforced.kernel
    kernel.put_mount(99, NOBODYS)
    kernel.put_mount(98, instance.number)
    for device in (98, 99, 100):
        kernel.put_entry(device, 5, UNGUARDED)

    taken_over(enforced, instance)

    assert {77: instance.number} == kernel.known_mounts
    assert {(77, 5)} == kernel.known_entries.keys()


def test_with_its_server_go_mount_and_entries(enforced: Enforced, instance: Instance) -> None:
    """What it tagged stays as it is."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    kernel = enforced.kernel
    record = kernel.known_instances[instance.number]
    kernel.put_instance(instance.number, replace(record, start=record.start - 1))

    later = taken_over(enforced, instance)

    (found,) = later.registry
    assert found.has_ended
    assert kernel.known_instances[instance.number].flags & ENDED
    assert ({}, {}) == (kernel.known_mounts, kernel.known_entries)
    assert enforced.set_of(instance, fd) in later.book


def test_a_server_that_cannot_be_looked_at_has_not_ended(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has several uids for a moment; its mount is guarded on."""

    def fail(*_arguments: object) -> None:
        raise NotPermitted("process runs with several uids")

    monkeypatch.setattr(reconciling, "look_at", fail)

    later = taken_over(enforced, instance)

    (found,) = later.registry
    assert not found.has_ended
    assert {77: instance.number} == enforced.kernel.known_mounts
    assert Role(RoleKind.SERVER, instance.number) == enforced.kernel.roles[os.getpid()]
