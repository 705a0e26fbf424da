"""The enforcer ends in whatever way, and what it has put in force stays; the next one goes on with it."""

import json
import os
import signal
import socket
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.client.enforcer import InstanceState, NoEnforcer
from fdstorefs.enforcer.options import PINS, SOCKET
from fdstorefs.server.guarding.finding import Gone, find
from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ATTACKED, ELSEWHERE, SERVICE
from tests.mount.waiting import wait_for

SECONDS = 120
ROOT = Path(PINS, "v1")
EVERYBODY = f"""\
version: 1
name: everybody
instances: {ATTACKED}/*
rules:
  - {{id: everybody, effect: allow, actions: [all]}}
"""


def give(mount: str, name: str) -> str:
    """Stash something under an abstract socket's name, and give it to everybody who connects there."""
    attempts.stash(mount, name, SECRET)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(f"\0give-{os.getpid()}")
    listening.listen(8)
    attempts._held["listening"] = listening.detach()
    return f"give-{os.getpid()}"


def hand_over() -> None:
    """Give what is kept to the next who connects."""
    listening = socket.socket(fileno=os.dup(attempts._held["listening"]))
    connected, _ = listening.accept()
    rights = array("i", [attempts._held[NAME]])
    connected.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    connected.recv(1)
    connected.close()
    listening.close()


def accept_gift(address: str) -> list[str]:
    """What somebody gives."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(f"\0{address}")
        _, files, _, _ = socket.recv_fds(line, 1, 4)
        return [attempts.read(fd) for fd in files]


class Stage:
    """An instance, two who may have what it keeps, and somebody who may not."""

    def __init__(
        self,
        enforcer: EnforcerProcess,
        instance: Callable[..., GuardedInstance],
        actor: Callable[..., Actor],
        groups: ControlGroups,
    ) -> None:
        self.enforcer = enforcer
        self.server = instance()
        self.service = actor(ALICE, cgroup=groups[SERVICE])
        self.colleague = actor(ALICE, cgroup=groups[SERVICE])
        self.stranger = actor(ALICE, cgroup=groups[ELSEWHERE])
        self.address = self.service.call(give, self.server.mount, NAME)

    def state(self) -> InstanceState:
        """What the enforcer says of the instance."""
        found = [each for each in self.enforcer.status().instances if each.mount == self.server.mount]
        assert found, "the enforcer does not know the instance"
        return found[-1]

    def given_to(self, who: Actor) -> list[str]:
        """What arrives when the service hands it over."""
        self.service.begin(hand_over)
        found: list[str] = who.call(accept_gift, self.address)
        self.service.outcome()
        return found

    def wait_for_server(self) -> None:
        """The server has come back to the enforcer, and has named its file anew."""
        wait_for(
            lambda: self.state().connected and self.state().guarded == 1, SECONDS, "the server to come back"
        )


@pytest.fixture
def stage(
    enforcer: EnforcerProcess,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> Stage:
    """One of them."""
    return Stage(enforcer, instance, actor, control_groups)


def test_killed_it_has_changed_nothing(stage: Stage) -> None:
    """While it is away, and when another has come: the same generation, and the same verdicts."""
    generation = stage.enforcer.status().generation
    stage.enforcer.kill()

    away = stage.given_to(stage.stranger), stage.given_to(stage.colleague)
    stage.enforcer.start()

    assert ([], [SECRET]) == away
    assert generation == stage.enforcer.status().generation
    assert [] == stage.given_to(stage.stranger)
    stage.wait_for_server()
    assert SECRET == stage.service.call(attempts.retrieve, stage.server.mount, NAME)


def test_policies_that_changed_meanwhile_are_in_force_when_it_is_back(stage: Stage) -> None:
    """What its server has named anew is judged by them."""
    stage.enforcer.kill()
    path = stage.enforcer.policies / "everybody.yaml"
    path.write_text(EVERYBODY)
    path.chmod(0o644)
    stage.enforcer.start()
    try:
        stage.wait_for_server()

        assert [SECRET] == stage.given_to(stage.stranger)
    finally:
        stage.enforcer.remove("everybody")
    assert [] == stage.given_to(stage.stranger)


def test_after_an_end_in_order_nothing_has_to_be_named_anew(stage: Stage) -> None:
    """Not even what a server left that is gone, and under other policies than before."""
    os.kill(stage.server.pid, signal.SIGKILL)
    wait_for(lambda: stage.state().ended, SECONDS, "the server to end")
    assert 0 == stage.enforcer.stop()
    path = stage.enforcer.policies / "everybody.yaml"
    path.write_text(EVERYBODY)
    path.chmod(0o644)
    stage.enforcer.start()
    try:
        assert (1, True) == (stage.state().guarded, stage.state().ended)
        assert [SECRET] == stage.given_to(stage.stranger)
    finally:
        stage.enforcer.remove("everybody")
    assert [] == stage.given_to(stage.stranger)


def test_servers_are_told_that_one_is_expected(stage: Stage) -> None:
    """What begins while it is away does not go on without it, as if there had never been one."""
    assert 0 == stage.enforcer.stop()
    with pytest.raises(Gone):
        find(SOCKET)
    stage.enforcer.start()

    find(SOCKET).close()


def test_there_is_one_for_each_host(enforcer: EnforcerProcess) -> None:
    """A second one does not start, and does no harm."""
    generation = enforcer.status().generation

    with pytest.raises(AssertionError, match="another enforcer"):
        EnforcerProcess(enforcer._new_actor).start()

    assert generation == enforcer.status().generation


def attached_and_detached(enforcer: EnforcerProcess) -> list[str]:
    """What the audit log has of hooks, in order."""
    records = map(json.loads, enforcer.audit.read_text().splitlines())
    return [each["type"] for each in records if each["type"] in ("attach", "detach")]


def test_a_hook_that_root_unpins_is_put_in_place_again(stage: Stage) -> None:
    """It is on record that the kernel stopped guarding, and that it guards anew; the server comes back."""
    before = stage.enforcer.status()
    (link,) = ROOT.glob("programs-*/link-file_receive")
    link.unlink()

    def guards_anew() -> bool:
        try:
            found = stage.enforcer.status()
        except NoEnforcer:
            return False  # all connections end when it is noticed
        return found.generation > before.generation and "file_receive" in found.hooks

    wait_for(guards_anew, 2 * SECONDS, "the hooks to be in place again")
    stage.wait_for_server()

    assert ["attach", "detach", "attach"] == attached_and_detached(stage.enforcer)[-3:]
    assert ([], [SECRET]) == (stage.given_to(stage.stranger), stage.given_to(stage.colleague))
