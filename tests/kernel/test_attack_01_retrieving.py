"""Attack 1: retrieve over the socket, and open the entry."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel import attempts, compromised_server
from tests.kernel.actor import Actor
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ELSEWHERE, SERVICE

CLOSED = "/run/closed"
NOBODY_ELSE = f"""\
version: 1
name: nobody-else
instances: {CLOSED}/*
rules:
  - {{id: the-service-alone, effect: allow, actions: [all], subject: {{cgroup: /{SERVICE}}}}}
"""

Groups = dict[str, Path]


@by_each
def test_over_the_socket(scene: Scene) -> None:
    """The server sends the descriptor, and the kernel doesn't let it arrive."""
    answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)

    assert ([], True) == (answer["texts"], answer["truncated"])
    scene.require_refused()
    scene.require_service_gets_it()


@by_each
def test_opening_the_entry(scene: Scene) -> None:
    """It isn't opened for him."""
    with pytest.raises(PermissionError) as refusal:
        scene.attacker.call(attempts.open_entry, scene.mount, NAME)

    assert errno.EACCES == refusal.value.errno
    scene.require_refused()
    assert SECRET == scene.service.call(attempts.open_entry, scene.mount, NAME)


@pytest.fixture
def closed(
    kind: Attacker, enforcer: EnforcerProcess, instance: Callable[..., GuardedInstance]
) -> Iterator[GuardedInstance]:
    """An instance in which nobody but the service may do anything."""
    enforcer.put("nobody-else", NOBODY_ELSE)
    yield instance(compromised=kind is Attacker.COMPROMISED_SERVER, directory=CLOSED)
    enforcer.remove("nobody-else")


@by_each
def test_where_he_may_do_nothing(
    kind: Attacker,
    closed: GuardedInstance,
    enforcer: EnforcerProcess,
    actor: Callable[..., Actor],
    control_groups: Groups,
) -> None:
    """He doesn't even get to ask."""
    log, service = enforcer.log(), actor(ALICE, cgroup=control_groups[SERVICE])
    in_namespace = kind is Attacker.ROOT_IN_NAMESPACE
    attacker = actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=in_namespace)
    with pytest.raises(PermissionError):
        attacker.call(attempts.ask, closed.mount, NAME, attempts.NO_FLAGS)
    found = log.denial(attacker.pid, action="connect")
    service.call(attempts.stash, closed.mount, NAME, SECRET)

    assert ("no-rule", closed.mount, ALICE.uid) == (
        found["reason"],
        found["instance"],
        found["subject"]["uid"],
    )
    assert SECRET == service.call(attempts.retrieve, closed.mount, NAME)


def test_what_the_server_tells_nobody_of(
    instance: Callable[..., GuardedInstance],
    enforcer: EnforcerProcess,
    actor: Callable[..., Actor],
    control_groups: Groups,
) -> None:
    """A server that hides what it stores from the enforcer has it for itself: it arrives nowhere."""
    server, log = instance(compromised=True), enforcer.log()
    server.inside.call(compromised_server.keep_silent)
    service, other = (actor(ALICE, cgroup=control_groups[name]) for name in (SERVICE, ELSEWHERE))
    service.call(attempts.stash, server.mount, NAME, SECRET)
    answers = [who.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS) for who in (service, other)]

    assert [([], True)] * 2 == [(each["texts"], each["truncated"]) for each in answers]
    for who in (service, other):
        assert "unclassified" == log.denial(who.pid, action="retrieve")["reason"]
