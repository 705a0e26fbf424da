"""What the kernel has no room to record while no enforcer runs is counted by the next one, and by it alone."""

import json
import re
from pathlib import Path

import pytest

from tests.kernel import attempts
from tests.kernel.attackers import NAME, Attacker, Scene
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.looking import looking
from tests.kernel.test_attack_15_filling import SECONDS, lost
from tests.mount.waiting import wait_for

STATE = Path("/run/fdstorefs/enforcer.state")


def missed(audit: Path) -> int:
    """How many records the log says are missing."""
    return sum(map(int, re.findall(rb'"lost_before": ?([0-9]+)', audit.read_bytes())))


def reported() -> int:
    """How many of them the next enforcer need not tell of."""
    told: int = json.loads(STATE.read_text())["reported"]
    return told


@pytest.mark.parametrize("kind", [Attacker.SAME_UID], ids=["same uid"])
def test_they_are_counted_once(scene: Scene, enforcer: EnforcerProcess) -> None:
    """Also when that one is killed, too."""
    before, told = lost(), missed(enforcer.audit)
    enforcer.kill()
    try:
        with looking(scene.holder, scene.attacker, NAME, pause=0):
            wait_for(lambda: lost() > before, SECONDS, "the ring to be full")
    finally:
        enforcer.start()
    count = lost() - before
    wait_for(lambda: missed(enforcer.audit) >= told + count, SECONDS, "a record of the loss")
    wait_for(lambda: reported() == lost(), SECONDS, "that to be kept")
    enforcer.kill()
    enforcer.start()
    log = enforcer.log()
    scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)
    log.denial(scene.attacker.pid, action="retrieve")

    assert told + lost() - before == missed(enforcer.audit)
