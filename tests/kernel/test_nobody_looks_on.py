"""Whoever traces a process before it is guarded would have what it keeps: so it is not guarded, and keeps nothing."""

import errno
from collections.abc import Callable

import pytest

from tests.kernel.actor import Actor, Obedient
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.children import Child
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.following import followed, try_to_trace
from tests.kernel.people import ALICE
from tests.kernel.policies import ELSEWHERE
from tests.kernel.registering import DONE, begin_a_thread, mount_nothing, protected, register


@pytest.fixture
def server(enforcer: EnforcerProcess, actor: Callable[..., Actor]) -> Actor:
    """Root of a user namespace."""
    return actor(ALICE, namespace=True)


@pytest.fixture
def mount(server: Actor) -> str:
    """What it has mounted, and not registered yet."""
    found: str = server.call(mount_nothing)
    return found


@pytest.fixture
def tracer(server: Actor, actor: Callable[..., Actor], control_groups: ControlGroups) -> Actor:
    """Root of the same."""
    return actor(ALICE, cgroup=control_groups[ELSEWHERE], joins=server.pid)


def test_a_server_that_is_traced_is_refused(
    server: Actor, mount: str, tracer: Actor, enforcer: EnforcerProcess
) -> None:
    """It serves no instance then, and has no keeper guarded; when the tracer has let go it may register."""
    with followed(tracer, server.pid):
        refused = server.call(register, mount)
        alive = [each for each in enforcer.status().instances if each.pid == server.pid and not each.ended]
        keeper = protected(server, tracer.pid)

    assert ("NotPermitted", [], "NotRegistered") == (refused, alive, keeper)
    assert DONE == server.call(register, mount)


def test_a_server_of_which_any_thread_is_traced_is_refused(server: Actor, mount: str, tracer: Actor) -> None:
    """All threads have the same descriptors."""
    with followed(tracer, server.call(begin_a_thread)):
        refused = server.call(register, mount)

    assert "NotPermitted" == refused


def test_once_it_is_registered_nobody_can_begin(server: Actor, mount: str, tracer: Actor) -> None:
    """Before that he could, and so he is one who is kept out by the enforcement and by nothing else."""
    tasks = (server.pid, server.call(begin_a_thread))
    before = [tracer.call(try_to_trace, task) for task in tasks]
    server.call(register, mount)
    after = [tracer.call(try_to_trace, task) for task in tasks]

    assert ([0, 0], [errno.EPERM, errno.EPERM]) == (before, after)


def test_a_keeper_that_is_traced_is_refused(
    server: Actor, mount: str, tracer: Actor, child: Callable[[Obedient], Child]
) -> None:
    """It is to have all that the server has."""
    keeper = child(server)
    server.call(register, mount)
    with followed(tracer, keeper.pid):
        refused = protected(server, keeper.pid)

    assert "NotPermitted" == refused
    assert DONE == protected(server, keeper.pid)
