"""A policy that was switched to another mode stays in it, however the enforcer ends."""

from collections.abc import Callable, Iterator

import pytest

from fdstorefs.client import enforcer as client
from fdstorefs.enforcer.options import SOCKET
from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.attackers import NAME, SECRET
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE

POLICY, DIRECTORY = "on-trial", "/run/on-trial"
TEXT = f"""\
version: 1
name: {POLICY}
mode: {{mode}}
instances: {DIRECTORY}/*
rules:
  - {{{{id: all-else, effect: allow, actions: [all]}}}}
  - {{{{id: nobody, effect: forbid, actions: [retrieve, take]}}}}
"""


@pytest.fixture
def policy(enforcer: EnforcerProcess) -> Iterator[str]:
    """Its file says that it monitors."""
    enforcer.put(POLICY, TEXT.format(mode="monitor"))
    yield POLICY
    enforcer.remove(POLICY)


def end_in_order(enforcer: EnforcerProcess) -> None:
    """As `systemctl stop` does."""
    assert 0 == enforcer.stop()


def crash(enforcer: EnforcerProcess) -> None:
    """As `kill -9` does."""
    enforcer.kill()


def state_of(policy: str) -> tuple[str, bool]:
    """Its mode, and whether it was switched to it."""
    (found,) = [each for each in client.status(SOCKET).policies if each.name == policy]
    return found.mode, found.switched


@pytest.mark.parametrize("end", [end_in_order, crash])
def test_over_a_restart(
    end: Callable[[EnforcerProcess], None],
    enforcer: EnforcerProcess,
    policy: str,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
) -> None:
    """What was refused by it is refused by the next enforcer too, until the file changes."""
    server, alice = instance(directory=DIRECTORY), actor(ALICE)
    alice.call(attempts.stash, server.mount, NAME, SECRET)
    assert [SECRET] == alice.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]
    client.set_mode(policy, "enforce", SOCKET)
    end(enforcer)
    enforcer.start()

    assert ("enforce", True) == state_of(policy)
    assert [] == alice.call(attempts.ask, server.mount, NAME, attempts.NO_FLAGS)["texts"]
    enforcer.put(policy, TEXT.format(mode="monitor") + "description: another text\n")
    assert ("monitor", False) == state_of(policy)
