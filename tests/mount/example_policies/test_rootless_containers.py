"""examples/policies/40-rootless-containers.yaml does what it says."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role

USER = 1000
CERTIFICATES = "shared/certificates"


@pytest.fixture
def scene(perform: Perform) -> Scene:
    """The session shares a memfd, read only."""
    scene = perform("40-rootless-containers.yaml")
    session(scene).prepares("box", "shared")
    session(scene).prepares("stash", CERTIFICATES, "read-only memfd")
    return scene


def session(scene: Scene) -> Role:
    """The user, in the user namespace of the instance."""
    return scene.role(USER)


def container(scene: Scene, name: str = "one") -> Role:
    """The same user, in one below."""
    return scene.role(USER, container=name)


def test_a_container_gets_what_is_shared(scene: Scene, door: str) -> None:
    """A container gets what the session put into the box `shared`."""
    assert "done" == container(scene)(door, "retrieve", CERTIFICATES)
    assert ["shared", CERTIFICATES] == container(scene)(door, "names")


def test_read_only(scene: Scene, door: str) -> None:
    """Read only: what it could write to it does not get."""
    session(scene).prepares("stash", "shared/writable", "memfd")

    assert "ENOENT" == container(scene)(door, "retrieve", "shared/writable")


def test_a_container_shares_nothing(scene: Scene, door: str) -> None:
    """Only the session shares: a container neither stashes into the box, nor renames or links."""
    one = container(scene)
    one.prepares("stash", "own", "read-only memfd")

    assert "EACCES" == one(door, "stash", "shared/trap", "read-only memfd")
    assert "EACCES" == one(door, "rename", "own", "shared/trap")
    assert "EACCES" == one(door, "link", "own", "shared/trap")
    assert "EACCES" == one(door, "rename", "shared", "mine")


def test_a_container_keeps_things_of_its_own(scene: Scene, door: str) -> None:
    """And keeps things of its own that no other container sees."""
    one, two = container(scene), container(scene, "two")

    assert "done" == one(door, "stash", "own")
    assert "done" == one(door, "retrieve", "own")
    assert "ENOENT" == two(door, "retrieve", "own")
    assert ["shared", CERTIFICATES] == two(door, "names")


def test_the_same_uid_in_another_user_namespace_is_another_user(scene: Scene, door: str) -> None:
    """The session looks and clears up, but does not get what a container stashed; nor the other way round."""
    container(scene).prepares("stash", "own")
    session(scene).prepares("stash", "sessions", "read-only memfd")

    assert "EACCES" == session(scene)(door, "retrieve", "own")
    assert "done" == session(scene)(door, "describe", "own")
    assert "done" == session(scene)(door, "discard", "own")
    assert "ENOENT" == container(scene)(door, "retrieve", "sessions")


def test_a_container_borrows_no_power(scene: Scene, door: str) -> None:
    """A file that lends its opener's power is not given to a container, not even one that it says is its own."""
    container(scene).prepares("stash", "control", "proc")

    assert "EACCES" == container(scene)(door, "retrieve", "control")


def test_another_user_has_no_part_in_it(scene: Scene, door: str) -> None:
    """Not in what the session has stashed, nor in what a container has."""
    container(scene).prepares("stash", "own")
    session(scene).prepares("stash", "sessions")

    for name in ("own", "sessions"):
        assert "ENOENT" == scene.role("backup")(door, "retrieve", name)
