"""kill -9 of server and keeper of a guarded instance: the kernel goes on guarding, and so does whoever comes next."""

import errno
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs import connect
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.kernel import attempts, policies, reaching
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.handing import handed
from tests.kernel.kept_instance import SECONDS, KeptInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ATTACKED, ELSEWHERE, SERVICE
from tests.mount.policies import write
from tests.mount.waiting import wait_for

_numbers = itertools.count(1)


def is_the_same(mount: str, name: str) -> bool:
    """Whether what is retrieved is the open file that this process has stashed."""
    with connect(mount) as store, store.retrieve(name) as found:
        return same_file_order(found.fileno(), attempts.own_number(name)) == SAME_FILE


class Stage:
    """The instance with what the service has stashed there, and somebody of the same user who may not have it."""

    def __init__(
        self,
        enforcer: EnforcerProcess,
        kept: KeptInstance,
        actor: Callable[..., Actor],
        groups: ControlGroups,
    ) -> None:
        self.enforcer = enforcer
        self.kept = kept
        self.service = actor(ALICE, cgroup=groups[SERVICE])
        self.attacker = actor(ALICE, cgroup=groups[ELSEWHERE])
        self.service.call(attempts.stash, kept.mount, NAME, SECRET)

    def is_denied(self) -> bool:
        """Whether the attacker gets nothing, though the service sends him its own copy."""
        return handed(self.service, self.attacker, NAME)[0]["texts"] == []

    def is_refused(self) -> bool:
        """Whether he gets nothing from the server, which would give it."""
        found = self.attacker.call(attempts.ask, self.kept.mount, NAME, attempts.NO_FLAGS)
        return found["texts"] == []

    def is_the_same(self) -> bool:
        """Whether the service retrieves the open file that it has stashed."""
        return bool(self.service.call(is_the_same, self.kept.mount, NAME))

    def registered(self) -> set[int]:
        """The servers that the enforcer has registered for the mount, and that have not ended."""
        instances = self.enforcer.status().instances
        return {each.pid for each in instances if each.mount == self.kept.mount and not each.ended}


@pytest.fixture
def stage(
    enforcer: EnforcerProcess, actor: Callable[..., Actor], control_groups: ControlGroups
) -> Iterator[Stage]:
    """One of them, whose server would give everything to everybody."""
    policy = write(Path("/run") / "mode-bits-decide.yaml", policies.MODE_BITS_DECIDE)
    mount = Path(ATTACKED) / f"kept-{next(_numbers)}"
    kept = KeptInstance(actor(ALICE), actor(ALICE), mount, policy)
    try:
        yield Stage(enforcer, kept, actor, control_groups)
    finally:
        kept.end()


def test_without_a_server_it_stays_guarded(stage: Stage) -> None:
    """From the kill on, until the next one serves, and after it: the owner then has the same open file again."""
    before = stage.is_denied()
    with stage.kept.without_server():
        meanwhile = stage.is_denied()
    status = stage.kept.status()

    assert (True, True, True) == (before, meanwhile, stage.is_denied())
    assert stage.is_refused()
    assert stage.is_the_same()
    assert (1, 1, 0) == (status.restarts, status.guarded, status.unguarded)


def test_the_next_server_is_registered_before_it_serves(stage: Stage) -> None:
    """Whoever is answered first is answered by one that the enforcer knows, and that the kernel keeps others out of."""
    for _ in range(2):
        status = stage.kept.kill_server()
        registered = stage.registered()
        looked_into = stage.attacker.call(reaching.copy_all, status.pid)

        assert ("kernel", {status.pid}) == (status.enforcement, registered)
        assert [errno.EPERM] == looked_into
    assert stage.is_the_same()
    assert stage.is_denied()


def test_the_spare_is_a_keeper_to_the_enforcer(stage: Stage) -> None:
    """It takes over when the keeper is killed, is closed to its user, and the server after that has everything."""
    former = stage.kept.status()
    status = stage.kept.kill_keeper()
    looked_into = stage.attacker.call(reaching.copy_all, status.keeper)
    denied = stage.is_denied()
    after = stage.kept.kill_server()

    assert (former.pid, status.keeper) == (status.pid, after.keeper)
    assert "is not accepted" not in stage.kept.said()
    assert ([errno.EPERM], True) == (looked_into, denied)
    assert (1, 0) == (after.guarded, after.unguarded)
    assert stage.is_the_same()
    assert stage.is_denied()


def test_while_the_enforcer_is_dead_nobody_serves(stage: Stage) -> None:
    """What the kernel guards it goes on guarding; the next server waits, and then has the same open file."""
    former = stage.kept.status()
    stage.enforcer.kill()
    try:
        with stage.kept.without_server():
            without_both = stage.is_denied()
        wait_for(lambda: "another server starts in" in stage.kept.said(), SECONDS, "a server to give up")
        nobody = stage.kept.status_now()
    finally:
        stage.enforcer.start()
    status = stage.kept.status()

    assert (True, None) == (without_both, nobody)
    assert former.pid != status.pid
    assert "kernel" == status.enforcement
    assert stage.is_the_same()
    assert stage.is_denied()
