"""Nobody looks into server, keeper and enforcer: not their own user, and under lockdown not root either."""

import os
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Hook, Reason, RoleKind
from fdstorefs.bpf.kernel import Kernel
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.instance import Instance
from tests.kernel.people import ALICE

Start = Callable[..., Actor]
Try = Callable[[Actor, Actor], object]


def by_memory(who: Actor, target: Actor) -> object:
    """Write its memory."""
    return who.call(acts.look_at, f"/proc/{target.pid}/mem")


def by_descriptors(who: Actor, target: Actor) -> object:
    """List its descriptors."""
    return who.call(acts.look_at, f"/proc/{target.pid}/fd")


def by_tracing(who: Actor, target: Actor) -> object:
    """Stop it and take it over."""
    return who.call(acts.attach, target.pid)


def by_copying(who: Actor, target: Actor) -> object:
    """Copy a descriptor out of it."""
    return who.call(acts.fetched, target.pid, 0)


WAYS = [by_memory, by_descriptors, by_tracing, by_copying]


@pytest.fixture(params=[RoleKind.SERVER, RoleKind.KEEPER, RoleKind.ENFORCER])
def target(request: pytest.FixtureRequest, actor: Start, instance: Instance) -> Actor:
    """One of those that are protected, of alice's."""
    process = actor(ALICE)
    instance.give_role(process.pid, request.param)
    return process


@pytest.fixture
def lockdown(kernel: Kernel) -> Iterator[None]:
    """Switched on for a test."""
    kernel._set(abi.LOCKDOWN, True)
    yield
    kernel._set(abi.LOCKDOWN, False)


@pytest.mark.parametrize("way", WAYS)
def test_its_own_user(way: Try, actor: Start, target: Actor, kernel: Kernel) -> None:
    """Is refused, which is on record."""
    alice = actor(ALICE)
    with pytest.raises(PermissionError):
        way(alice, target)
    event = kernel.ring.read()[0]

    assert (Hook.REACHED_INTO, Reason.PROTECTED, False, ALICE.uid, alice.pid, target.pid) == (
        event.hook,
        event.reason,
        event.allowed,
        event.uid,
        event.tgid,
        event.target,
    )


@pytest.mark.parametrize("way", WAYS)
def test_root(way: Try, actor: Start, target: Actor) -> None:
    """Of the host may debug."""
    way(actor(), target)


@pytest.mark.parametrize("way", WAYS)
def test_root_of_another_namespace(way: Try, actor: Start, target: Actor) -> None:
    """May not."""
    with pytest.raises(PermissionError):
        way(actor(ALICE, namespace=True), target)


@pytest.mark.parametrize("way", WAYS)
def test_lockdown(way: Try, actor: Start, target: Actor, lockdown: None) -> None:
    """Keeps root out as well."""
    with pytest.raises(PermissionError):
        way(actor(), target)


def test_others(actor: Start, instance: Instance) -> None:
    """Processes without a role are as open to their user as ever."""
    target, alice = actor(ALICE), actor(ALICE)
    for way in WAYS:
        way(alice, target)


def test_the_enforcer_may_look(target: Actor, lockdown: None) -> None:
    """Even under lockdown: it has to know whom it enforces for."""
    assert os.listdir(f"/proc/{target.pid}/fd")


def test_its_own_wish(actor: Start, target: Actor, lockdown: None) -> None:
    """A protected process does not become its parent's to trace."""
    with pytest.raises(PermissionError):
        target.call(acts.be_traced)


def test_what_ps_shows(actor: Start, target: Actor, kernel: Kernel) -> None:
    """Whoever lists processes has reached for nothing: the kernel shows him less, and nothing is on record."""
    alice = actor(ALICE)
    kernel.ring.read()
    alice.call(read_line, f"/proc/{target.pid}/stat")

    assert [] == kernel.ring.read()


def read_line(path: str) -> str:
    """What a file in /proc says."""
    with open(path) as file:
        return file.read()
