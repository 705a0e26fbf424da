"""examples/policies/70-live-update.yaml does what it says."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role

MACHINE = "/machine.slice/vm-1.scope"
MEMORY, DEVICE = "update/memory", "update/device"
LABEL = "live-update"
USER = 1000


@pytest.fixture
def scene(perform: Perform) -> Scene:
    """The old version has stashed its guest's memory and a device."""
    scene = perform("70-live-update.yaml")
    old(scene).prepares("box", "update")
    old(scene).prepares("stash", MEMORY, "memfd", label=LABEL)
    old(scene).prepares("stash", DEVICE, "device", label=LABEL)
    return scene


def old(scene: Scene) -> Role:
    """The version that runs; it has no capabilities."""
    return scene.role(USER, MACHINE)


def new(scene: Scene) -> Role:
    """The version that comes: the same user, in the same slice."""
    return scene.role(USER, "/machine.slice/vm-1.next.scope", can=["sys_admin"])


def test_the_old_version_hands_over(scene: Scene, door: str) -> None:
    """The old version stashes its guest's memory and its devices, labelled, in the box `update` and seals it."""
    assert "done" == old(scene)(door, "stash", "update/more", "memfd", label=LABEL)
    assert "done" == old(scene)("socket", "seal", "update")
    assert "EBUSY" == old(scene)(door, "stash", "update/late", "memfd", label=LABEL)
    assert "EBUSY" == new(scene)("socket", "take", MEMORY)
    assert "EACCES" == old(scene)(door, "stash", "elsewhere", "memfd", label=LABEL)


def test_the_new_version_takes_everything_at_once(scene: Scene) -> None:
    """The new version opens the seal and takes everything at once."""
    old(scene).prepares("stash", "update/more", "memfd", label=LABEL)
    old(scene).prepares("seal", "update")

    assert "done" == new(scene)("socket", "unseal", "update")
    assert "done" == new(scene)("socket", "take", MEMORY, "update/more")


def test_a_device_is_handed_over_by_who_stashed_it(scene: Scene) -> None:
    """This policy is content with who stashed a device: if that lends no power, the new version takes it."""
    powerful = scene.role(USER, MACHINE, can=["sys_rawio"])
    for what, stasher in {"harmless": old(scene), "powerful": powerful}.items():
        stasher.prepares("stash", f"update/{what}", "proc", label=LABEL)

    assert "done" == new(scene)("socket", "take", DEVICE)
    assert "done" == new(scene)("socket", "take", "update/harmless")
    assert "EACCES" == new(scene)("socket", "take", "update/powerful")


def test_until_then_nobody_gets_at_a_part(scene: Scene, door: str) -> None:
    """Until then nobody, not even who stashed it, gets at a part."""
    for name in (MEMORY, DEVICE):
        assert "EACCES" == old(scene)(door, "retrieve", name)
        assert "EACCES" == old(scene)("socket", "take", name)
        assert "EACCES" == new(scene)(door, "retrieve", name)
        assert "EACCES" == old(scene)(door, "link", name, "update/copy")
        assert "EACCES" == old(scene)(door, "rename", name, "elsewhere")


def test_nobody_else_takes_it(scene: Scene) -> None:
    """Neither the user elsewhere, nor another user, nor a guest that got into a user namespace of its own."""
    elsewhere = scene.role(USER, "/user.slice", can=["sys_admin"])
    another = scene.role("backup", MACHINE, can=["sys_admin"])
    guest = scene.role(USER, MACHINE, container="guest")

    assert "ENOENT" == elsewhere("socket", "take", MEMORY)
    assert "EACCES" == another("socket", "take", MEMORY)
    assert "EACCES" == guest("socket", "take", MEMORY)


def test_without_its_label_it_stays(scene: Scene) -> None:
    """What isn't labelled `live-update` is not part of it."""
    old(scene).prepares("stash", "update/notes", "memfd")

    assert "EACCES" == new(scene)("socket", "take", "update/notes")
