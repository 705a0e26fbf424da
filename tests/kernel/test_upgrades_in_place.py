"""An instance that the kernel guards is upgraded: the enforcer takes the new server for its own before that serves."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
import fdstorefs.server.upgrading.succeeding
from fdstorefs.client.enforcer import InstanceState
from fdstorefs.server.mounting import unmount
from fdstorefs.server.upgrading import outgoing
from tests.kernel import attempts, commands, reaching
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import NAME, SECRET
from tests.kernel.command_process import CommandProcess
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.kept_instance import ask_status
from tests.kernel.people import ALICE
from tests.kernel.policies import ATTACKED, ELSEWHERE, MODE_BITS_DECIDE, SERVICE
from tests.mount.cast import mounted_below
from tests.mount.policies import write
from tests.mount.waiting import wait_for

SECONDS = 300


def serve_patiently(arguments: list[str], log: int, ready: int) -> int:
    """Serve; in an emulated machine a program takes minutes to start."""
    outgoing.PREPARING_SECONDS = outgoing.TAKING_SECONDS = float(SECONDS)
    return commands.run(arguments, log, ready)


def upgrade(mount: str) -> dict[str, Any]:
    """What the new server says."""
    with fdstorefs.connect(mount) as store:
        return store.upgrade()._asdict()


class Upgraded:
    """An instance of Alice's with a keeper and something in it, after an upgrade."""

    def __init__(
        self, enforcer: EnforcerProcess, actor: Callable[..., Actor], groups: ControlGroups, mount: Path
    ) -> None:
        self.enforcer = enforcer
        self.mount = str(mount)
        self.service = actor(ALICE, cgroup=groups[SERVICE])
        self.stranger = actor(ALICE, cgroup=groups[ELSEWHERE])
        server = actor(ALICE)
        mount.mkdir(parents=True)
        os.chown(mount, server.role.uid, server.role.uid)
        policy = write(Path("/run") / "mode-bits-decide.yaml", MODE_BITS_DECIDE)
        arguments = ["serve", "--enforcement", "kernel", "--policy", policy, self.mount]
        self.process = CommandProcess(server, arguments, serve_patiently)
        self.process.start()
        self.service.call(attempts.stash, self.mount, NAME, SECRET)
        self.before = self.state()
        self.told = self.service.call(upgrade, self.mount)

    def state(self) -> InstanceState:
        """What the enforcer says of the instance."""
        return next(each for each in self.enforcer.status().instances if each.mount == self.mount)

    def status(self) -> dict[str, Any]:
        """What the server says."""
        return wait_for(lambda: self.service.call(ask_status, self.mount), SECONDS, "a server")

    def could_stash(self, name: str) -> bool:
        """Whether the service could. Nobody can while the enforcer has too much else to do, as in a machine so slow."""
        try:
            self.service.call(attempts.stash, self.mount, name, name)
        except PermissionError as error:
            assert "the enforcer is away" in str(error)
            return False
        return True

    def end(self) -> None:
        """Be rid of it."""
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.end()
        for mount in mounted_below(self.mount):
            unmount(mount, lazy=True)


@pytest.fixture
def upgraded(
    enforcer: EnforcerProcess, actor: Callable[..., Actor], control_groups: ControlGroups
) -> Iterator[Upgraded]:
    """One, which ends with the test."""
    made = Upgraded(enforcer, actor, control_groups, Path(ATTACKED) / "upgraded")
    yield made
    print(made.process.said())
    made.end()


def test_the_new_server_is_guarded_and_guards(upgraded: Upgraded, actor: Callable[..., Actor]) -> None:
    """It is the same instance to the enforcer; nobody reaches into it or its keeper; the next server is one, too."""
    told, state, said = upgraded.told, upgraded.state(), upgraded.status()

    assert told["former_pid"] != told["pid"]
    assert (told["pid"], upgraded.before.number, True, False) == (
        state.pid,
        state.number,
        state.connected,
        state.ended,
    )
    assert ("kernel", 1, 0) == (said["enforcement"], said["guarded"], said["restarts"])
    assert SECRET == upgraded.service.call(attempts.retrieve, upgraded.mount, NAME)
    with pytest.raises(PermissionError):
        upgraded.stranger.call(attempts.retrieve, upgraded.mount, NAME)

    beside = actor(ALICE)
    for pid in (said["pid"], said["keeper"]):
        assert [errno.EPERM] == beside.call(reaching.copy_all, pid)

    wait_for(lambda: upgraded.could_stash("later"), SECONDS, "the enforcer to answer in time")
    assert 2 == upgraded.status()["guarded"]

    os.kill(said["pid"], signal.SIGKILL)
    again = wait_for(
        lambda: (
            now
            if (now := upgraded.service.call(ask_status, upgraded.mount)) and now["pid"] != said["pid"]
            else None
        ),
        SECONDS,
        "another server",
    )
    assert ("kernel", 2, 1) == (again["enforcement"], again["guarded"], again["restarts"])
    assert SECRET == upgraded.service.call(attempts.retrieve, upgraded.mount, NAME)
