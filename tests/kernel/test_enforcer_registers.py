"""Who may have an instance registered, and for which mount."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fdstorefs.client import enforcer as client
from fdstorefs.enforcer.options import SOCKET
from fdstorefs.server.guarding.finding import find
from fdstorefs.server.guarding.line import Refusal
from tests.kernel import attempts, cgroups
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE, MALLORY
from tests.kernel.policies import ATTACKED, ELSEWHERE, SERVICE
from tests.mount.waiting import wait_for

SECONDS = 120
MONITORS = f"""\
version: 1
name: everybody-is-watched
instances: {ATTACKED}/*
rules:
  - {{id: nobody, effect: forbid, actions: [retrieve, take]}}
"""


@pytest.fixture
def make_below() -> Iterator[Callable[[Path, str], Path]]:
    """Control groups below another, that end with the test."""
    with ExitStack() as stack:

        def make(above: Path, name: str) -> Path:
            path = above / name
            path.mkdir()
            stack.callback(cgroups.remove, path)
            return path

        yield make


def claim(mount: str) -> str:
    """Say that a mount is ours; what the enforcer answers."""
    root = os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line = find(SOCKET)
    try:
        line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], 60)
    except Refusal as error:
        return error.identifier
    finally:
        line.close()
        os.close(root)
    return "registered"


def number_of(enforcer: EnforcerProcess, mount: str) -> int:
    """The instance of a mount."""
    return [each.number for each in enforcer.status().instances if each.mount == mount][-1]


@pytest.mark.parametrize(
    ("who", "namespace", "expected"),
    [(ALICE, False, "AlreadyRegistered"), (MALLORY, False, "NotAMount"), (MALLORY, True, "NotAMount")],
    ids=["the same user", "another user", "root in a user namespace of his own"],
)
def test_a_mount_is_its_servers(
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    who: object,
    namespace: bool,
    expected: str,
) -> None:
    """Nobody else can say that it is his."""
    server = instance(ALICE)

    assert expected == actor(who, namespace=namespace).call(claim, server.mount)


def test_root_of_a_user_namespace_has_no_claim_to_roots_mount(
    instance: Callable[..., GuardedInstance], actor: Callable[..., Actor]
) -> None:
    """Both are uid 0, each in his own."""
    server = instance(0)

    assert "NotAMount" == actor(MALLORY, namespace=True).call(claim, server.mount)


def test_a_server_that_ends_is_noticed(
    enforcer: EnforcerProcess, instance: Callable[..., GuardedInstance]
) -> None:
    """At once, and with nothing left it is forgotten."""
    server = instance()
    number = number_of(enforcer, server.mount)

    os.kill(server.pid, signal.SIGKILL)

    wait_for(
        lambda: number not in [each.number for each in enforcer.status().instances],
        SECONDS,
        "the instance to be forgotten",
    )


def test_a_cgroup_that_is_made_later_counts(
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    make_below: Callable[[Path, str], Path],
    control_groups: ControlGroups,
) -> None:
    """One below the allowed one is allowed, one that is only called like it is not."""
    server = instance()
    actor(ALICE, cgroup=control_groups[SERVICE]).call(attempts.stash, server.mount, NAME, SECRET)
    below = actor(ALICE, cgroup=make_below(control_groups[SERVICE], "later"))
    namesake = actor(ALICE, cgroup=make_below(control_groups[ELSEWHERE], SERVICE))

    got = wait_for(
        lambda: below.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"],
        SECONDS,
        "the cgroup to be classified",
    )

    assert [SECRET] == got
    assert [] == namesake.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]


def test_a_policy_is_switched_to_monitor_and_back(
    enforcer: EnforcerProcess,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> None:
    """What it would refuse is delivered, and on record."""
    server, service = instance(), actor(ALICE, cgroup=control_groups[SERVICE])
    service.call(attempts.stash, server.mount, NAME, SECRET)
    enforcer.put("everybody-is-watched", MONITORS)
    try:
        assert [] == service.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]

        assert "enforce" == client.set_mode("everybody-is-watched", "monitor", SOCKET).former
        log = enforcer.log()
        assert [SECRET] == service.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]
        found = wait_for(
            lambda: [each for each in log.records() if each["subject"]["pid"] == service.pid],
            SECONDS,
            "the record",
        )
        assert ("allow", "deny", ["nobody"]) == tuple(
            found[0][key] for key in ("verdict", "decided", "rules")
        )

        client.set_mode("everybody-is-watched", "enforce", SOCKET)
        assert [] == service.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]
    finally:
        enforcer.remove("everybody-is-watched")
