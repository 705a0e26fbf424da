"""A server that takes over is registered as the one before it, and its keeper may hold what is guarded."""

import os
import signal

import pytest

import fdstorefs
from tests.mount.guarding.conftest import Serve
from tests.mount.guarding.fake_enforcer import FakeEnforcer
from tests.mount.keeper.torture import connect, repeat


def kill(mount: str, who: str) -> fdstorefs.Status:
    """Kill `pid` or `keeper`, and wait until there is another."""
    with connect(mount) as store:
        former: int = getattr(store.status(), who)
        os.kill(former, signal.SIGKILL)
        while True:
            now: fdstorefs.Status = repeat(store, lambda store: store.status())
            if getattr(now, who) != former:
                return now


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
