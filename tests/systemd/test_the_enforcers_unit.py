"""The enforcer as a service: started, killed, reloaded, ended, always by its unit with all that confines it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.client import enforcer as client
from fdstorefs.enforcer.options import POLICIES, SOCKET
from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ELSEWHERE, EVERYBODY, SERVICE
from tests.mount.policies import write
from tests.mount.waiting import wait_for
from tests.systemd.unit import Unit

NAME, SECRET = "secret", "what only the service may have"
SECONDS = 120
CONFINED = {
    # bpf, perfmon, sys_admin, sys_ptrace, dac_read_search
    "CapBnd": f"{1 << 39 | 1 << 38 | 1 << 21 | 1 << 19 | 1 << 2:016x}",
    "NoNewPrivs": "1",
    "Seccomp": "2",
}


class Stage:
    """An instance, the service whose file it keeps, and somebody who may not have it."""

    def __init__(
        self, unit: Unit, instance: GuardedInstance, new: Callable[..., Actor], groups: dict[str, Path]
    ) -> None:
        self.unit = unit
        self.mount = instance.mount
        self.service = new(ALICE, cgroup=groups[SERVICE])
        self.stranger = new(ALICE, cgroup=groups[ELSEWHERE])
        self.service.call(attempts.stash, self.mount, NAME, SECRET)

    def got(self) -> list[list[str]]:
        """What service and stranger get when they ask."""
        return [
            each.call(attempts.ask, self.mount, NAME, attempts.NO_FLAGS)["texts"]
            for each in (self.service, self.stranger)
        ]

    def wait_for_server(self) -> None:
        """Until the server has come back to the enforcer, and can stash again."""

        def is_back() -> bool:
            found = [each for each in client.status(SOCKET).instances if each.mount == self.mount]
            return bool(found) and found[-1].connected and found[-1].guarded == 1

        wait_for(is_back, SECONDS, "the server to come back")


@pytest.fixture
def stage(
    started: Unit, instance: GuardedInstance, actor: Callable[..., Actor], control_groups: dict[str, Path]
) -> Stage:
    """One of them."""
    return Stage(started, instance, actor, control_groups)


def test_it_is_ready_when_it_enforces(started: Unit) -> None:
    """Once `systemctl start` returns all hooks are attached, and it is confined as the unit says."""
    found = client.status(SOCKET)

    assert (started.pid, {"asks-for-everything", "only-the-service"}) == (
        found.pid,
        {each.name for each in found.policies},
    )
    assert found.hooks
    status = Path(f"/proc/{started.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert CONFINED == {name: fields[name] for name in CONFINED}


def test_it_enforces(stage: Stage) -> None:
    """The journal says what it refused."""
    assert [[SECRET], []] == stage.got()
    found = stage.unit.denial(stage.stranger.pid)
    assert ("kernel", "retrieve", "no-rule", stage.mount) == (
        found["source"],
        found["action"],
        found["reason"],
        found["instance"],
    )


def test_killed_it_comes_back(stage: Stage) -> None:
    """By itself; meanwhile and afterwards the same is in force."""
    generation, pid = client.status(SOCKET).generation, stage.unit.pid

    stage.unit.systemctl("kill", "--signal", "KILL")
    away = stage.got()
    wait_for(lambda: stage.unit.pid not in (0, pid), SECONDS, "another process")
    stage.unit.wait_for("active")

    assert [[SECRET], []] == away
    assert generation == client.status(SOCKET).generation
    stage.wait_for_server()
    assert [[SECRET], []] == stage.got()
    assert "1" <= stage.unit.says("NRestarts")


def test_ended_it_leaves_in_force_what_is(stage: Stage) -> None:
    """`systemctl stop` opens nothing, and the next start goes on with it."""
    stage.unit.systemctl("stop")
    away, state = stage.got(), stage.unit.says("ActiveState")
    with pytest.raises(OSError, match="enforcer"):
        stage.service.call(attempts.stash, stage.mount, "another", SECRET)
    stage.unit.start()

    assert ("inactive", "success") == (state, stage.unit.says("Result"))
    assert [[SECRET], []] == away
    stage.wait_for_server()
    assert [[SECRET], []] == stage.got()
    stage.service.call(attempts.stash, stage.mount, "another", SECRET)


def test_reloaded_it_has_the_policies_that_are_there_now(stage: Stage) -> None:
    """`systemctl reload` returns when they are in force."""
    path = Path(write(Path(POLICIES) / "everybody.yaml", EVERYBODY))
    stage.unit.systemctl("reload")
    allowed = stage.got()
    path.unlink()
    stage.unit.systemctl("reload")

    assert [[SECRET], [SECRET]] == allowed
    assert [[SECRET], []] == stage.got()


def test_an_instance_of_the_host_is_guarded(started: Unit, actor: Callable[..., Actor]) -> None:
    """That of `fdstorefs@`: it starts after the enforcer, everybody sees its mount, and it ends in order."""
    mount = "/run/host-store"
    service = Unit("fdstorefs@run-host\\x2dstore.service")
    service.start()
    try:
        found = [each for each in client.status(SOCKET).instances if each.mount == mount]
        owner, other = actor(), actor(ALICE)
        owner.call(attempts.stash, mount, NAME, SECRET)
        with fdstorefs.connect(mount) as store:
            said = store.status()

        assert service.pid == said.keeper
        assert [(said.pid, 0, True)] == [(each.pid, each.uid, each.connected) for each in found]
        assert SECRET == owner.call(attempts.retrieve, mount, NAME)
        with pytest.raises(FileNotFoundError):  # the default does not even show it
            other.call(attempts.retrieve, mount, NAME)
    finally:
        service.systemctl("stop")
    assert "success" == service.says("Result")
    assert not Path(mount, ".fdstore").exists()
