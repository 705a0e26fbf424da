"""Attack 9: move into a control group that is called like the allowed one, or into one below a forbidden one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.host import syscalls
from tests.kernel import attempts
from tests.kernel.actor import Actor, Obedient
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.kernel_log import Record
from tests.kernel.people import ALICE
from tests.kernel.policies import SERVICE
from tests.mount.waiting import wait_for

FORBIDDEN, FORBIDDING = "the-forbidden", "/run/forbidding"
ALL_BUT_THE_FORBIDDEN = f"""\
version: 1
name: all-but-the-forbidden
instances: {FORBIDDING}/*
rules:
  - {{id: everybody, effect: allow, actions: [all]}}
  - {{id: not-they, effect: forbid, actions: [retrieve, take], subject: {{cgroup: /{FORBIDDEN}}}}}
"""
SECONDS = 60
CLONE_NEWCGROUP = 0x0200_0000


def move_into_new(path: str) -> str:
    """Make a control group and move there; where one is then, as one sees it oneself."""
    os.mkdir(path)
    Path(path, "cgroup.procs").write_text("0")
    return Path("/proc/self/cgroup").read_text().strip()


def see_no_further() -> None:
    """Enter a cgroup namespace of one's own: the control group where one is looks like the topmost."""
    syscalls.unshare(CLONE_NEWCGROUP)


def given_to(who: Obedient, group: Path) -> Path:
    """A control group in which somebody is, and that is his to make others in."""
    (group / "cgroup.procs").write_text(str(who.pid))
    for path in (group, group / "cgroup.procs"):
        os.chown(path, ALICE.uid, ALICE.uid)
    return group


def refused_for(scene: Scene, reason: str) -> Record:
    """The kernel's record of a refusal for this reason; he asks until the enforcer knows his control group."""

    def asked() -> list[Record]:
        answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)
        assert ([], True) == (answer["texts"], answer["truncated"])
        return [each for each in scene.log.denials(scene.attacker.pid) if each["reason"] == reason]

    return wait_for(asked, SECONDS, f"a refusal because of {reason}; there are {scene.log.records()}")[0]


@by_each
def test_the_allowed_ones_name_elsewhere(scene: Scene, make_cgroup: Callable[[str], Path]) -> None:
    """It is the whole path that counts, from the host's topmost control group."""
    home = given_to(scene.attacker, make_cgroup("his"))

    assert f"0::/his/{SERVICE}" == scene.attacker.call(move_into_new, str(home / SERVICE))
    found = refused_for(scene, "no-rule")
    assert (NAME, f"/his/{SERVICE}") == (found["entry"]["name"], found["subject"]["cgroup"])
    scene.require_service_gets_it()


@pytest.mark.parametrize("kind", [Attacker.ROOT_IN_NAMESPACE], ids=[Attacker.ROOT_IN_NAMESPACE.value])
def test_its_whole_path_in_a_cgroup_namespace(scene: Scene, make_cgroup: Callable[[str], Path]) -> None:
    """As he sees it his path is the allowed one, and as the host sees it, it isn't."""
    home = given_to(scene.attacker, make_cgroup("his"))
    scene.attacker.call(see_no_further)

    assert f"0::/{SERVICE}" == scene.attacker.call(move_into_new, str(home / SERVICE))
    found = refused_for(scene, "no-rule")
    assert (NAME, f"/his/{SERVICE}") == (found["entry"]["name"], found["subject"]["cgroup"])
    scene.require_service_gets_it()


@pytest.fixture
def forbidden_scene(
    kind: Attacker,
    enforcer: EnforcerProcess,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    make_cgroup: Callable[[str], Path],
) -> Iterator[Scene]:
    """The attacker is in the only control group that may not have what is kept; its name begins the service's."""
    enforcer.put("all-but-the-forbidden", ALL_BUT_THE_FORBIDDEN)
    forbidden, allowed = make_cgroup(FORBIDDEN), make_cgroup(f"{FORBIDDEN}-not")
    server = instance(compromised=kind is Attacker.COMPROMISED_SERVER, directory=FORBIDDING)
    service = actor(ALICE, cgroup=allowed)
    service.call(attempts.stash, server.mount, NAME, SECRET)
    attacker = actor(ALICE, namespace=kind is Attacker.ROOT_IN_NAMESPACE)
    given_to(attacker, forbidden)
    yield Scene(server, service, attacker, enforcer.log())
    enforcer.remove("all-but-the-forbidden")


@by_each
def test_below_a_forbidden_one(forbidden_scene: Scene) -> None:
    """It is forbidden as that is: while nobody has classified it yet, and then by the very rule."""
    scene, below = forbidden_scene, f"/{FORBIDDEN}/below"

    assert f"0::{below}" == scene.attacker.call(move_into_new, f"/sys/fs/cgroup{below}")
    found = refused_for(scene, "forbidden")
    assert (NAME, below, ["not-they"]) == (
        found["entry"]["name"],
        found["subject"]["cgroup"],
        found["rules"],
    )
    scene.require_service_gets_it()
