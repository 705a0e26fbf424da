"""A keeper has what its instance keeps, so it is a relative of its server's, and nobody else ever is."""

import os
from dataclasses import replace

import pytest

from fdstorefs.bpf.abi import Role, RoleKind
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.errors import NotPermitted
from tests.unit.enforcer.enforced import Enforced, standing, this_process
from tests.unit.enforcer.relatives import Relative


def served_by(enforced: Enforced, relative: Relative, mount: str = "/m", device: int = 77) -> Instance:
    """An instance of that one's."""
    in_force = enforced.enforcement.generation.for_instance(standing(mount))
    return enforced.registry.admit(relative.look(), Seen(mount, device), os.dup(relative.pidfd), in_force)


def test_a_child_can_be_one(enforced: Enforced, instance: Instance, relative: Relative) -> None:
    """Twice is once. It begins with its parent's role."""
    enforced.kernel.roles[relative.pid] = Role(RoleKind.SERVER, instance.number)

    for _ in range(2):
        enforced.registry.protect(instance, relative.look(), relative.pidfd)

    assert Role(RoleKind.KEEPER, instance.number) == enforced.kernel.roles[relative.pid]


def test_the_parent_can_be_one(enforced: Enforced, relative: Relative) -> None:
    """It may start the next server."""
    instance = served_by(enforced, relative)
    pidfd = os.pidfd_open(os.getpid())

    enforced.registry.protect(instance, this_process(), pidfd)
    os.close(pidfd)

    assert Role(RoleKind.KEEPER, instance.number) == enforced.kernel.roles[os.getpid()]


def test_more_distant_ones_cannot(enforced: Enforced, instance: Instance, relative: Relative) -> None:
    """Nor a sibling, nor the server itself."""
    sibling, pidfd = Relative(), os.pidfd_open(os.getpid())
    other = served_by(enforced, sibling, "/other", 78)
    attempts = [
        (instance, relative.look_at_child(), relative.child_pidfd),
        (other, relative.look(), relative.pidfd),
        (instance, this_process(), pidfd),
    ]
    try:
        for server, keeper, its_pidfd in attempts:
            with pytest.raises(NotPermitted):
                enforced.registry.protect(server, keeper, its_pidfd)
    finally:
        sibling.end()
        os.close(pidfd)

    assert {os.getpid(), sibling.pid} == enforced.kernel.roles.keys()


def test_whom_a_keeper_has_started_can_be_the_next(
    enforced: Enforced, instance: Instance, relative: Relative
) -> None:
    """It began as a keeper, so nothing is given to it. What began before its parent was one is no relative."""
    keeper, spare = relative.look(), relative.look_at_child()
    enforced.registry.protect(instance, keeper, relative.pidfd)
    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, spare, relative.child_pidfd)
    enforced.kernel.roles[relative.child] = Role(RoleKind.KEEPER, instance.number)

    enforced.registry.protect(instance, spare, relative.child_pidfd)

    assert {os.getpid(), relative.child} == enforced.kernel.roles.keys()
    assert instance.keeper is not None
    assert relative.child == instance.keeper.pid


@pytest.mark.parametrize("kind", [RoleKind.SERVER, RoleKind.ENFORCER, None])
def test_no_other_role_makes_one_related(
    enforced: Enforced, instance: Instance, relative: Relative, kind: RoleKind | None
) -> None:
    """Nor that of another instance's keeper, even if that has ended."""
    role = Role(kind or RoleKind.KEEPER, instance.number if kind else instance.number + 1)
    enforced.kernel.roles[relative.child] = role

    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, relative.look_at_child(), relative.child_pidfd)

    assert role == enforced.kernel.roles[relative.child]


def test_it_is_the_same_user_in_the_same_place(
    enforced: Enforced, instance: Instance, relative: Relative
) -> None:
    """Policies tell uids and control groups apart. Where it is unknown it is nowhere. Nor does a role help."""
    keeper, here = relative.look(), instance.standing.here
    strangers = [
        replace(keeper, uid=keeper.uid + 1),
        replace(keeper, cgroup=f"{here.cgroup}/else"),
        replace(keeper, cgroup=None),
        replace(keeper, start=instance.start - 1),
    ]

    for stranger in strangers:
        with pytest.raises(NotPermitted):
            enforced.registry.protect(instance, stranger, relative.pidfd)
    enforced.kernel.roles[relative.pid] = Role(RoleKind.KEEPER, instance.number)
    for stranger in strangers[:3]:
        with pytest.raises(NotPermitted):
            enforced.registry.protect(instance, stranger, relative.pidfd)
    instance.standing = standing(cgroup=None)
    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, strangers[2], relative.pidfd)


@pytest.mark.parametrize("kind", [RoleKind.SERVER, RoleKind.KEEPER, RoleKind.ENFORCER])
def test_who_is_somebody_else_already(
    enforced: Enforced, instance: Instance, relative: Relative, kind: RoleKind
) -> None:
    """Stays that, for as long as it means something."""
    sibling = Relative()
    other = served_by(enforced, sibling, "/other", 78)
    enforced.kernel.roles[relative.pid] = Role(kind, other.number)

    with pytest.raises(NotPermitted):
        enforced.registry.protect(instance, relative.look(), relative.pidfd)
    sibling.end()
    enforced.registry.end(other)
    if kind is not RoleKind.ENFORCER:
        enforced.registry.protect(instance, relative.look(), relative.pidfd)


def test_there_is_one_at_a_time(enforced: Enforced, instance: Instance, relative: Relative) -> None:
    """The former one is nobody then, and gone without harm if it has gone."""
    later, last = Relative(), Relative()
    for each in (relative, later):
        enforced.registry.protect(instance, each.look(), each.pidfd)
    assert {os.getpid(), later.pid} == enforced.kernel.roles.keys()

    later.end()
    enforced.registry.protect(instance, last.look(), last.pidfd)
    last.end()

    assert instance.keeper is not None
    assert last.pid == instance.keeper.pid


def test_it_can_be_taken_back(enforced: Enforced, instance: Instance, relative: Relative) -> None:
    """If it turns out that somebody traces it."""
    take_back = enforced.registry.protect(instance, relative.look(), relative.pidfd)

    take_back()

    assert (None, {os.getpid()}) == (instance.keeper, enforced.kernel.roles.keys())


def test_it_stays_with_what_comes_after_its_server(
    enforced: Enforced, instance: Instance, relative: Relative
) -> None:
    """And is let go with the last of it."""
    enforced.registry.protect(instance, relative.look(), relative.pidfd)
    assert instance.keeper is not None
    kept = instance.keeper
    enforced.registry.end(instance)

    heir = enforced.admit(device=78)
    assert (kept, instance.number) == (heir.keeper, heir.number)
    enforced.registry.end(heir)
    enforced.registry.forget(heir)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept.pidfd)


def test_it_serves_nothing_and_its_children_may(
    enforced: Enforced, instance: Instance, relative: Relative
) -> None:
    """A child has its parent's role until it has its own."""
    enforced.registry.protect(instance, relative.look(), relative.pidfd)
    enforced.kernel.roles[relative.child] = Role(RoleKind.KEEPER, instance.number)
    known, mount = enforced.registry.known, Seen("/other", 78)

    with pytest.raises(NotPermitted):
        known(relative.look(), mount, relative.pidfd, {77, 78})
    assert None is known(relative.look_at_child(), mount, relative.child_pidfd, {77, 78})
