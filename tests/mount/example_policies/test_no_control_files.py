"""examples/policies/60-no-control-files.yaml does what it says, beside everything.yaml.

What it is for is in tests/mount/test_cgroup_procs.py.
"""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene

USER = 1000


@pytest.fixture
def scene(perform: Perform) -> Scene:
    """Everything else is allowed."""
    return perform("60-no-control-files.yaml", "everything.yaml")


def test_nobody_takes_one(scene: Scene, door: str) -> None:
    """Nobody takes a control file, a device node or a namespace file that root has stashed, by whatever name."""
    root, user = scene.role(), scene.role(USER)
    root.prepares("box", "powers")
    for what in ("proc", "device", "namespace", "pidfd"):
        root.prepares("stash", f"powers/{what}", what)

        assert "EACCES" == user(door, "retrieve", f"powers/{what}")
        assert "EACCES" == user("socket", "take", f"powers/{what}")
        assert "EACCES" == user(door, "link", f"powers/{what}", "powers/harmless")


def test_a_namespace_stays_with_who_stashed_it(scene: Scene) -> None:
    """Who stashed it has it, and the same user in another user namespace has not."""
    for what in ("namespace", "pidfd"):
        scene.role(USER).prepares("stash", what, what)

        assert "done" == scene.role(USER)("socket", "retrieve", what)
        assert "EACCES" == scene.role(USER, container="one")("socket", "retrieve", what)


def test_a_device_stays_with_root(scene: Scene) -> None:
    """One that isn't in /dev, too: root of the instance's user namespace has it, and nobody else."""
    scene.role().prepares("stash", "terminal", "terminal")

    assert "done" == scene.role()("socket", "retrieve", "terminal")
    assert "EACCES" == scene.role(USER)("socket", "retrieve", "terminal")


def test_where_the_opener_is_not_known_nobody_retrieves_it(scene: Scene) -> None:
    """Nobody retrieves a control file at all, not even who stashed it; he discards it."""
    scene.role().prepares("stash", "power", "proc")

    assert "EACCES" == scene.role()("socket", "retrieve", "power")
    assert "done" == scene.role()("socket", "discard", "power")


def test_what_is_allowed_others_say(scene: Scene, door: str) -> None:
    """What is allowed, others say: what lends no power everybody gets."""
    for what in ("memfd", "pipe", "socket"):
        scene.role().prepares("stash", what, what)

        assert "done" == scene.role(USER)(door, "retrieve", what)


def test_alone_it_allows_nothing(perform: Perform, door: str) -> None:
    """This file only forbids: by itself it allows nothing."""
    scene = perform("60-no-control-files.yaml")

    assert "EACCES" == scene.role(USER)(door, "stash", "anything")
