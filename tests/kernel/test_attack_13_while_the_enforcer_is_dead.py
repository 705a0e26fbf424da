"""Attack 13: ask while the enforcer is dead, and while another comes and takes over."""

import errno
import os
import signal
from collections.abc import Callable

import pytest

from fdstorefs.client.enforcer import InstanceState
from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.handing import handed
from tests.kernel.looking import looking
from tests.kernel.people import ALICE
from tests.kernel.policies import SERVICE
from tests.mount.waiting import wait_for

SECONDS = 120


def state(enforcer: EnforcerProcess, scene: Scene) -> InstanceState:
    """What the enforcer says of the instance that is attacked."""
    return next(each for each in reversed(enforcer.status().instances) if each.mount == scene.mount)


def wait_for_server(enforcer: EnforcerProcess, scene: Scene) -> None:
    """Until the server has found the new enforcer, and its file is known there."""

    def is_back() -> bool:
        found = state(enforcer, scene)
        return found.connected and found.guarded == 1

    wait_for(is_back, SECONDS, "the server to come back")


def names_refused(scene: Scene) -> set[str]:
    """The names by which something was refused to the attacker."""
    return {each["entry"]["name"] for each in scene.log.denials(scene.attacker.pid)}


def inode_of(name: str) -> int:
    """The inode of what an actor has."""
    return os.fstat(attempts.own_number(name)).st_ino


@by_each
def test_he_gets_nothing(scene: Scene, enforcer: EnforcerProcess) -> None:
    """Not while it is dead, nor while its successor comes, nor then.

    What he tried meanwhile is on record, too: by the file, as its name is not known until the server has come back.
    """
    inode = scene.service.call(inode_of, NAME)
    enforcer.kill()
    try:
        answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)
        with pytest.raises(PermissionError) as refusal:
            scene.attacker.call(attempts.open_entry, scene.mount, NAME)
        scene.require_service_gets_it()
    finally:
        with looking(scene.holder, scene.attacker, NAME, pause=50) as seen:
            enforcer.start()
            wait_for_server(enforcer, scene)

    assert (([], True), errno.EACCES) == ((answer["texts"], answer["truncated"]), refusal.value.errno)
    assert (0, True) == (seen.arrived, seen.looks > 0)
    found = scene.denial(action="retrieve")
    assert ("no-rule", scene.mount, ALICE.uid, inode) == (
        found["reason"],
        found["instance"],
        found["subject"]["uid"],
        found["entry"]["inode"],
    )
    assert [] == handed(scene.holder, scene.attacker, NAME)[0]["texts"]
    wait_for(lambda: NAME in names_refused(scene), SECONDS, "a record by its name")
    scene.require_service_gets_it()


@pytest.mark.parametrize("kind", [Attacker.SAME_UID], ids=["same uid"])
def test_no_tag_is_lost_with_server_and_enforcer(
    scene: Scene, enforcer: EnforcerProcess, actor: Callable[..., Actor], control_groups: ControlGroups
) -> None:
    """What a dead server kept goes on being guarded, under a dead enforcer and under the next."""
    colleague = actor(ALICE, cgroup=control_groups[SERVICE])
    enforcer.kill()
    try:
        os.kill(scene.server.pid, signal.SIGKILL)
        away = [handed(scene.service, who, NAME)[0]["texts"] for who in (scene.attacker, colleague)]
    finally:
        enforcer.start()

    assert [[], [SECRET]] == away
    assert [[], [SECRET]] == [
        handed(scene.service, who, NAME)[0]["texts"] for who in (scene.attacker, colleague)
    ]
    assert "no-rule" == scene.denial(action="retrieve")["reason"]
