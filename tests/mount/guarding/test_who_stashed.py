"""What the enforcer is told of who stashed: it decides for whom a file may be guarded."""

import os

import pytest

import fdstorefs
from tests.mount.guarding.fake_enforcer import FakeEnforcer


def test_what_he_may_do_is_told(store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int) -> None:
    """His capabilities, whether a policy asks for them or not, and his user namespace."""
    store.stash("x", some_file)
    [file] = enforcer.of("Guard")[0]["files"]
    [name] = file["names"]

    assert (effective_capabilities(), [os.stat("/proc/self/ns/user").st_ino]) == (
        name["stasher"]["capabilities"],
        name["stasher"]["userns"],
    )


def test_a_further_copy_of_what_is_unguarded_is_released(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The kernel has withheld it from everybody when it came again; its entry is still there."""
    enforcer.why["x"] = "authority"
    store.stash("x", some_file)
    with pytest.raises(fdstorefs.EntryExists):
        store.stash("x", some_file)
    enforcer.await_call("Release")

    assert [[]] == [call["inodes"] for call in enforcer.of("Release")]
    assert (False, "authority") == (
        store.describe("x").entry.guarded,
        store.describe("x").entry.unguarded,
    )


def effective_capabilities() -> int:
    """Those of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
