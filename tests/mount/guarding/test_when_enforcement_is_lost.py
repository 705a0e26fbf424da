"""When the kernel does not enforce the policy any more, nothing is delivered or stored until it does."""

import errno
import json
import os

import pytest

import fdstorefs
from fdstorefs.errors import NotGuarded
from fdstorefs.server.guarding.asking import UNCLASSIFIED
from tests.mount.guarding.conftest import Serve
from tests.mount.guarding.fake_enforcer import FakeEnforcer, Kernel
from tests.mount.waiting import wait_for


@pytest.fixture
def lost(store: fdstorefs.Store, enforcer: FakeEnforcer, kernel: Kernel, some_file: int) -> fdstorefs.Store:
    """A store with `x` in it, whose kernel was switched off while the enforcer was away."""
    store.stash("x", some_file)
    enforcer.end()
    kernel.switch(False)
    return store


def test_nothing_is_delivered(lost: fdstorefs.Store) -> None:
    """Neither over the socket nor through the mount, and what was to be taken stays."""
    with pytest.raises(NotGuarded, match="until the kernel enforces the policy again") as raised:
        lost.retrieve("x")
    with pytest.raises(NotGuarded):
        lost.take("x")
    with pytest.raises(PermissionError):
        os.open(f"{lost.mount}/x", os.O_RDONLY)

    assert (errno.EACCES, "x") == (raised.value.errno, raised.value.name)
    assert ["x"] == [entry.name for entry in lost.list()]


def test_nothing_is_stored(lost: fdstorefs.Store, some_file: int) -> None:
    """Not even what would be stored unguarded."""
    with pytest.raises(NotGuarded):
        lost.stash("y", some_file)

    assert ["x"] == [entry.name for entry in lost.list()]


def test_what_is_not_guarded_is_not_delivered_either(
    store: fdstorefs.Store, enforcer: FakeEnforcer, kernel: Kernel, some_file: int
) -> None:
    """That nobody is at home says nothing about a file."""
    enforcer.why["x"] = "authority"
    store.stash("x", some_file)
    store.retrieve("x").close()
    enforcer.end()
    kernel.switch(False)

    with pytest.raises(NotGuarded):
        store.retrieve("x")


def test_status_says_so_by_itself(lost: fdstorefs.Store) -> None:
    """It is the truth of this moment, also if nobody has asked for anything since."""
    assert lost.status().enforcement_reason.startswith(
        "lost (the kernel does not know this instance any more)"
    )


def test_it_is_served_again_when_it_is_back(
    lost: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The instance registers anew, and tells all names before anything is delivered under them."""
    enforcer.kernel.forget()
    with pytest.raises(NotGuarded):
        lost.retrieve("x")
    enforcer.names.clear()
    enforcer.start()
    enforcer.await_call("Guard", 2)
    lost.retrieve("x").close()
    lost.link("x", "y")

    assert [["x", "y"]] == enforcer.paths


def test_an_enforcer_that_runs_is_asked_to_register_it_again(
    store: fdstorefs.Store, enforcer: FakeEnforcer, kernel: Kernel, some_file: int
) -> None:
    """The line may hold while the kernel has forgotten."""
    store.stash("x", some_file)
    kernel.switch(False)
    with pytest.raises(NotGuarded):
        store.retrieve("x")
    enforcer.await_call("Register", 2)
    wait_for(lambda: "again by the kernel" in store.status().enforcement_reason, 10, "it to be registered")

    store.retrieve("x").close()


def test_a_file_that_the_kernel_has_forgotten_is_guarded_anew(
    store: fdstorefs.Store, enforcer: FakeEnforcer, kernel: Kernel, some_file: int
) -> None:
    """At once, when somebody asks for it."""
    store.stash("x", some_file)
    kernel.untag(some_file)
    store.retrieve("x").close()

    assert 2 == len(enforcer.of("Guard"))


@pytest.mark.parametrize(
    "answer", [None, UNCLASSIFIED, errno.EBADF], ids=["untagged", "unclassified", "strange"]
)
def test_a_file_that_nobody_can_guard_anew_is_not_delivered(
    store: fdstorefs.Store, enforcer: FakeEnforcer, kernel: Kernel, some_file: int, answer: int | None
) -> None:
    """Whatever else the kernel says of it, it is not that it is guarded."""
    store.stash("x", some_file)
    enforcer.end()
    if answer is None:
        kernel.untag(some_file)
    else:
        kernel.tag(some_file, answer)

    with pytest.raises(NotGuarded, match="the kernel has not classified what is stored there"):
        store.retrieve("x")


def test_loss_and_return_are_on_record_once(
    enforcer: FakeEnforcer, serve: Serve, kernel: Kernel, some_file: int, directory: str
) -> None:
    """In the log and in the audit log, where each denial is, too."""
    instance = serve()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("x", some_file)
        enforcer.end()
        kernel.switch(False)
        for _ in range(3):
            with pytest.raises(NotGuarded):
                store.retrieve("x")
        enforcer.start()
        wait_for(lambda: "again by the kernel" in store.status().enforcement_reason, 10, "it to be back")
    assert 0 == instance.stop()
    with open(f"{directory}/audit", encoding="ascii") as log:
        records = [json.loads(line) for line in log]

    assert ["attach", "detach", "attach"] == [
        record["type"] for record in records if record["type"] in ("attach", "detach")
    ]
    assert 3 == sum(record.get("reason") == "error" and record["verdict"] == "deny" for record in records)
    assert (1, 1) == (
        instance.said().count("enforcement: lost"),
        instance.said().count("the enforcer is back"),
    )
