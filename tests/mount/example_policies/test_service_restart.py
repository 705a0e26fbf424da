"""examples/policies/50-service-restart.yaml does what it says."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role, Stage
from tests.mount.policies import allowing

SERVICE = "/system.slice/mail.service"
QUEUE = "restart/mail/queue"


@pytest.fixture
def scene(perform: Perform) -> Scene:
    """root has made the boxes; the service has stashed its state."""
    scene = perform("50-service-restart.yaml")
    for box in ("restart", "restart/mail"):
        scene.role().prepares("box", box)
    service(scene).prepares("stash", QUEUE)
    return scene


def service(scene: Scene) -> Role:
    """The user mail in its service."""
    return scene.role("mail", SERVICE)


def restarted(scene: Scene, stage: Stage) -> Role:
    """The same, in a new process."""
    return Role(stage.new_actor("mail", f"{SERVICE}/again"), scene.mount)


def test_it_finds_its_descriptors_again(scene: Scene, stage: Stage) -> None:
    """A service finds its descriptors again after a restart, and takes them back."""
    again = restarted(scene, stage)

    assert again.actor.pid != service(scene).actor.pid
    assert "done" == again("socket", "take", QUEUE)


def test_that_the_process_is_another_one_does_not_matter(scene: Scene, stage: Stage, door: str) -> None:
    """That the process is another one after the restart does not matter."""
    again = restarted(scene, stage)

    assert ["restart", "restart/mail", QUEUE] == again(door, "names")
    assert "done" == again(door, "retrieve", QUEUE)
    assert "done" == again(door, "stash", "restart/mail/more")
    assert "done" == again(door, "discard", QUEUE)


def test_that_it_is_the_same_service_does(scene: Scene, door: str) -> None:
    """That it is the same service does: neither its user elsewhere nor another user in it gets anything."""
    others = [
        scene.role("mail"),
        scene.role("mail", "/system.slice/mail.service2"),
        scene.role("backup", SERVICE),
    ]
    for other in others:
        assert [] == other(door, "names")
        assert "ENOENT" == other(door, "retrieve", QUEUE)
        assert "ENOENT" == other("socket", "take", QUEUE)


def test_it_stays_in_its_own_box(scene: Scene, door: str) -> None:
    """Below `restart/`, in its own box, and nowhere else."""
    assert "EACCES" == service(scene)(door, "stash", "restart/queue")
    assert "EACCES" == service(scene)(door, "stash", "queue")


def test_root_looks_and_clears_up(scene: Scene, door: str) -> None:
    """root makes the boxes, sees what is there and discards it, but gets nothing out."""
    root = scene.role()

    assert "done" == root(door, "box", "restart/web")
    assert "EACCES" == root(door, "box", "elsewhere")
    assert ["restart", "restart/mail", QUEUE, "restart/web"] == root(door, "names")
    assert "EACCES" == root(door, "retrieve", QUEUE)
    assert "EACCES" == root(door, "stash", "restart/file")
    assert "done" == root(door, "discard", QUEUE)


def test_what_somebody_else_put_there_is_not_taken(perform: Perform, door: str) -> None:
    """The service takes what it has stashed itself: where another policy lets others stash, that it does not get."""
    scene = perform(
        "50-service-restart.yaml", beside=allowing("more", "restart/mail/*", actions="stash, list")
    )
    for box in ("restart", "restart/mail"):
        scene.role().prepares("box", box)
    scene.role("backup").prepares("stash", QUEUE)

    assert "EACCES" == service(scene)(door, "retrieve", QUEUE)
    assert "EACCES" == service(scene)("socket", "take", QUEUE)
