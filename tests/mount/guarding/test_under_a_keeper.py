"""A server that takes over is registered as the one before it, and its keeper may hold what is guarded."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
from tests.mount.guarding.conftest import Serve
from tests.mount.guarding.fake_enforcer import FakeEnforcer
from tests.mount.tortured import connect, repeat
from tests.mount.waiting import wait_for


def kill(mount: str, who: str) -> fdstorefs.Status:
    """Kill `pid` or `keeper`, and wait until there is another."""
    with connect(mount) as store:
        former: int = getattr(store.status(), who)
        os.kill(former, signal.SIGKILL)
        while True:
            now: fdstorefs.Status = repeat(store, lambda store: store.status())
            if getattr(now, who) != former:
                return now


def children(pid: int) -> set[int]:
    """Of a process's first thread."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def records_in(path: str) -> list[dict[str, Any]]:
    """Of an audit log."""
    return [json.loads(line) for line in open(path, encoding="ascii")]


def test_the_keeper_is_introduced_before_anything_is_guarded(enforcer: FakeEnforcer, serve: Serve) -> None:
    """And so is the one that takes its place."""
    instance = serve("kernel", "keeper")
    with fdstorefs.connect(instance.mount) as store:
        first = store.status().keeper
        store.stash("a", os.memfd_create("a"))
    methods = [method for method, _ in enforcer.calls]
    assert ["Register", "Protect", "Guard"] == methods[:3]

    assert [first, kill(instance.mount, "keeper").keeper] == enforcer.keepers


@pytest.mark.parametrize("times", [1, 2])
def test_a_new_server_goes_on_as_the_same_instance(enforcer: FakeEnforcer, serve: Serve, times: int) -> None:
    """It is registered before it serves, and everything is guarded as before."""
    instance = serve("kernel", "keeper")
    with fdstorefs.connect(instance.mount) as store:
        store.stash("a", os.memfd_create("a"))
    for _ in range(times):
        status = kill(instance.mount, "pid")
    with fdstorefs.connect(instance.mount) as store:
        store.retrieve("a").close()

    registered = [call["previous"] for call in enforcer.of("Register")]
    assert None is registered[0]
    assert {registered[1]} == set(registered[1:])
    assert isinstance(registered[1], int)
    assert ("kernel", 1, 0) == (status.enforcement, status.guarded, status.unguarded)


def test_a_spare_that_is_refused_is_passed_over(enforcer: FakeEnforcer, serve: Serve) -> None:
    """The kernel would give it nothing. Another is started, which is the server's child."""
    instance = serve("kernel", "keeper")
    with fdstorefs.connect(instance.mount) as store:
        first = store.status()
        store.stash("a", os.memfd_create("a"))
    assert first.keeper is not None
    (spare,) = enforcer.strangers = children(first.keeper) - {first.pid}

    now = kill(instance.mount, "keeper")

    assert [first.keeper, spare, now.keeper] == enforcer.keepers
    assert {now.keeper} == children(first.pid)


def test_without_an_enforcer_no_spare_is_trusted(enforcer: FakeEnforcer, serve: Serve) -> None:
    """Nobody can tell whether it may be given anything. The one that is started is introduced later."""
    instance = serve("kernel", "keeper")
    with fdstorefs.connect(instance.mount) as store:
        first = store.status()
    enforcer.end()
    wait_for(lambda: "the enforcer is away" in instance.said(), 20, "the server to notice")

    now = kill(instance.mount, "keeper")
    enforcer.start()
    enforcer.await_call("Protect", 2)

    assert {now.keeper} == children(first.pid)
    assert [first.keeper, now.keeper] == enforcer.keepers


def test_what_began_with_the_kernel_does_not_go_on_without(
    enforcer: FakeEnforcer, serve: Serve, directory: str
) -> None:
    """Although `auto` would do without if it began now."""
    instance = serve("auto", "keeper")
    with fdstorefs.connect(instance.mount) as store:
        store.stash("a", os.memfd_create("a"))
        server = store.status().pid
    enforcer.end()
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: "the kernel is to enforce the policy" in instance.said(), 20, "the refusal")
    enforcer.start()

    with connect(instance.mount) as store:
        status = repeat(store, lambda store: store.status())
    assert 0 == instance.stop()
    assert ("kernel", 1) == (status.enforcement, status.guarded)
    (restart,) = (each for each in records_in(f"{directory}/audit") if each["type"] == "restart")
    assert ("kernel", "as for the server before this one") == (
        restart["enforcement"],
        restart["enforcement_reason"],
    )
