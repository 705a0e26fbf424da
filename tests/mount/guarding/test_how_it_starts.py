"""Whether the kernel is to enforce the policy is settled when an instance starts, and never silently otherwise."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import fdstorefs
from tests.mount.conftest import await_readiness
from tests.mount.guarding.conftest import Serve
from tests.mount.guarding.fake_enforcer import FakeEnforcer
from tests.mount.instance import Instance
from tests.mount.waiting import wait_for

Fail = Callable[..., str]


def status(mount: str) -> fdstorefs.Status:
    """What an instance says of itself."""
    with fdstorefs.connect(mount) as store:
        return store.status()


def test_it_registers_before_it_serves(enforcer: FakeEnforcer, serve: Serve) -> None:
    """With its mount, and says what is in force."""
    instance = serve()
    told = status(instance.mount)

    assert [{"mount": instance.mount, "mountDescriptor": 0, "previous": None}] == enforcer.of("Register")
    assert ("kernel", 0, 0) == (told.enforcement, told.guarded, told.unguarded)
    assert "the policy again by the kernel" in told.enforcement_reason


def test_auto_is_as_kernel_where_an_enforcer_listens(enforcer: FakeEnforcer, serve: Serve) -> None:
    """Nothing else is asked for."""
    assert "kernel" == status(serve("auto").mount).enforcement
    assert 1 == len(enforcer.of("Register"))


def test_auto_does_without_where_none_listens(absent_enforcer: FakeEnforcer, serve: Serve) -> None:
    """It says so, in its status and in its log."""
    instance = serve("auto")
    told = status(instance.mount)

    assert ("daemon", None) == (told.enforcement, told.guarded)
    assert f"no enforcer listens at {absent_enforcer.path}" in told.enforcement_reason
    assert f"by this server alone; no enforcer listens at {absent_enforcer.path}" in instance.said()


def test_daemon_asks_nobody(enforcer: FakeEnforcer, serve: Serve) -> None:
    """Also where an enforcer listens."""
    assert "daemon" == status(serve("daemon").mount).enforcement
    assert [] == enforcer.calls


def test_kernel_does_not_serve_without(absent_enforcer: FakeEnforcer, fail_to_serve: Fail) -> None:
    """It says what is missing, and what could be done."""
    said = fail_to_serve()

    assert (
        f"error: the kernel is to enforce the policy, and no enforcer listens at {absent_enforcer.path}\n"
        in said
    )
    assert "hint: start it (`fdstorefs enforce`)" in said


@pytest.fixture
def gone_enforcer(absent_enforcer: FakeEnforcer) -> FakeEnforcer:
    """One that has left its socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(absent_enforcer.path)
    return absent_enforcer


def test_auto_waits_for_one_that_has_crashed(
    gone_enforcer: FakeEnforcer, begin: Callable[..., tuple[Instance, int]]
) -> None:
    """What it had the kernel enforce is in force."""
    instance, ready = begin("auto")
    wait_for(lambda: "is gone; it is waited for" in instance.said(), 20)
    os.unlink(gone_enforcer.path)
    gone_enforcer.start()
    with os.fdopen(ready) as announcement:
        await_readiness(instance, announcement)

    assert "kernel" == status(instance.mount).enforcement


def test_auto_does_not_serve_if_it_stays_away(gone_enforcer: FakeEnforcer, fail_to_serve: Fail) -> None:
    """Nor does it do without."""
    said = fail_to_serve("auto")

    assert f"error: the enforcer that listened at {gone_enforcer.path} is gone, and has not come" in said


def test_who_is_refused_does_not_serve(enforcer: FakeEnforcer, fail_to_serve: Fail) -> None:
    """Not even where it may do without an enforcer: there is one, and it says no."""
    enforcer.error = "Denied"

    for enforcement in ("kernel", "auto"):
        assert "error: the enforcer does not register this instance: it says Denied\n" in fail_to_serve(
            enforcement
        )


def test_an_enforcer_without_a_kernel_is_none(enforcer: FakeEnforcer, fail_to_serve: Fail) -> None:
    """Whoever listens can say anything; that the kernel knows the instance afterwards he can't bring about."""
    enforcer.enforces = False

    assert "has registered this instance, and the kernel knows nothing of it\n" in fail_to_serve("auto")


def test_an_impostor_is_told_nothing(directory: str, fail_to_serve: Fail) -> None:
    """A socket that isn't root's isn't the enforcer's."""
    path = f"{directory}/enforcer.sock"
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        os.chown(path, 1, 1)
        listening.listen()
        said = fail_to_serve("auto")
        listening.settimeout(0)
        try:
            heard.append(listening.accept()[0].recv(1))
        except BlockingIOError:
            pass

    assert (
        f"error: what listens at {path} is not the host's enforcer: it belongs to uid 1, not to root\n"
        in said
    )
    assert [] == heard


def test_who_listens_as_somebody_else_is_an_impostor(directory: str, fail_to_serve: Fail) -> None:
    """The socket may be root's, if who has it open isn't."""
    path = f"{directory}/enforcer.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        os.chown(path, 0, 0)
        # The credentials that the kernel keeps are those of whoever called listen(2).
        listen = f"import os, socket; os.setuid(1); socket.socket(fileno={listening.fileno()}).listen()"
        subprocess.run([sys.executable, "-c", listen], pass_fds=[listening.fileno()], check=True)
        said = fail_to_serve("auto")

    assert "it belongs to uid 1, not to root\n" in said


def start_record(directory: str) -> dict[str, Any]:
    """The first record of the audit log."""
    with open(f"{directory}/audit", encoding="ascii") as log:
        first: dict[str, Any] = json.loads(log.readline())
    assert "start" == first["type"]
    return first


@pytest.mark.parametrize("enforcement", ["auto", "kernel"])
def test_that_the_kernel_enforces_is_on_record(
    enforcer: FakeEnforcer, serve: Serve, directory: str, enforcement: str
) -> None:
    """From the first record on, with why."""
    why = {
        "auto": f"the enforcer listens at {enforcer.path}",
        "kernel": "as it was told (`--enforcement kernel`)",
    }
    assert 0 == serve(enforcement).stop()
    start = start_record(directory)

    assert ("kernel", why[enforcement]) == (start["enforcement"], start["enforcement_reason"])


def test_that_the_server_alone_enforces_is_on_record(
    absent_enforcer: FakeEnforcer, serve: Serve, directory: str
) -> None:
    """Likewise."""
    assert 0 == serve("auto").stop()
    start = start_record(directory)

    assert ("daemon", f"no enforcer listens at {absent_enforcer.path}") == (
        start["enforcement"],
        start["enforcement_reason"],
    )


def test_what_never_began_is_on_record(
    absent_enforcer: FakeEnforcer, fail_to_serve: Fail, directory: str
) -> None:
    """Without saying who enforces: nobody had to."""
    fail_to_serve()
    start = start_record(directory)

    assert not {"enforcement", "enforcement_reason"} & start.keys()


def test_what_began_is_on_record(enforcer: FakeEnforcer, serve: Serve, directory: str) -> None:
    """The audit log says from when on the kernel guards."""
    instance = serve()
    assert 0 == instance.stop()
    records = [json.loads(line) for line in open(f"{directory}/audit", encoding="ascii")]

    assert [(["file_receive"], 3)] == [
        (record["hooks"], record["generation"]) for record in records if record["type"] == "attach"
    ]
    assert [] == [record for record in records if record["type"] == "detach"]
