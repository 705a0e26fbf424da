"""examples/policies/30-database-broker.yaml does what it says."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role
from tests.mount.policies import allowing

BROKER = "/system.slice/broker.service"
APP = "/system.slice/app@2.service"
CONNECTION = "db/app/1"


@pytest.fixture
def scene(perform: Perform) -> Scene:
    """The broker has stashed a connection."""
    scene = perform("30-database-broker.yaml")
    for box in ("db", "db/app"):
        broker(scene).prepares("box", box)
    broker(scene).prepares("stash", CONNECTION, "socket")
    return scene


def broker(scene: Scene) -> Role:
    """The user proxy in its service."""
    return scene.role("proxy", BROKER)


def app(scene: Scene) -> Role:
    """The user www-data in an instance of its service."""
    return scene.role("www-data", APP)


def test_the_broker_stashes_connections(scene: Scene, door: str) -> None:
    """A broker connects to the database and hands connections to one service."""
    assert "done" == broker(scene)(door, "stash", "db/app/2", "socket")
    assert "done" == broker(scene)(door, "describe", "db/app/2")
    assert "done" == broker(scene)(door, "discard", "db/app/2")


def test_it_stashes_nothing_else(scene: Scene, door: str) -> None:
    """Connections only, below `db/` only, and nobody else does: not its user elsewhere, nor another user there."""
    assert "EACCES" == broker(scene)(door, "stash", "db/app/file", "memfd")
    assert "EACCES" == broker(scene)(door, "stash", "elsewhere", "socket")
    assert "ENOENT" == scene.role("proxy")(door, "stash", "db/app/3", "socket")
    assert "ENOENT" == scene.role("backup", BROKER)(door, "stash", "db/app/3", "socket")


def test_the_service_takes_connections(scene: Scene) -> None:
    """The service (user www-data, in its own cgroup) takes connections that are logged in already."""
    broker(scene).prepares("box", "db/other")
    broker(scene).prepares("stash", "db/other/1", "socket")

    assert "done" == app(scene)("socket", "take", CONNECTION)
    assert "ENOENT" == app(scene)("socket", "take", CONNECTION)
    assert "ENOENT" == app(scene)("socket", "take", "db/other/1")


def test_the_service_sees_what_it_may_take(scene: Scene, door: str) -> None:
    """It finds the connections by listing them."""
    assert ["db", "db/app", CONNECTION] == app(scene)(door, "names")


def test_nobody_else_sees_any(scene: Scene, door: str) -> None:
    """Nobody else sees that there are any."""
    places = {"backup": APP, "www-data": "/system.slice/cron.service", "root": APP, "proxy": "/user.slice"}
    for other in (scene.role(user, cgroup) for user, cgroup in places.items()):
        assert [] == other(door, "names")
        assert "ENOENT" == other(door, "retrieve", CONNECTION)
        assert "ENOENT" == other(door, "discard", CONNECTION)
        assert "ENOENT" == other("socket", "take", CONNECTION)


def test_a_connection_is_taken_not_copied(scene: Scene, door: str) -> None:
    """A connection is taken, not copied: not even by the service, and not by the broker."""
    assert "EACCES" == app(scene)(door, "retrieve", CONNECTION)
    assert "EACCES" == broker(scene)(door, "retrieve", CONNECTION)
    assert "EACCES" == app(scene)(door, "link", CONNECTION, "copy")


def test_a_connection_of_somebody_elses_is_not_taken(perform: Perform) -> None:
    """Only what the broker has stashed: where another policy lets others stash, too, that is not taken."""
    scene = perform("30-database-broker.yaml", beside=allowing("more", "**", actions="stash, list"))
    stranger = scene.role("backup")
    for box in ("db", "db/app"):
        stranger.prepares("box", box)
    stranger.prepares("stash", CONNECTION, "socket")

    assert "EACCES" == app(scene)("socket", "take", CONNECTION)


def test_nothing_there_lends_power(perform: Perform, door: str) -> None:
    """Should another policy allow more, a file that lends its opener's power stays where it is all the same."""
    scene = perform("30-database-broker.yaml", "everything.yaml")
    scene.role().prepares("box", "open")
    scene.role().prepares("stash", "open/control", "proc")

    assert "EACCES" == app(scene)(door, "retrieve", "open/control")
    assert "EACCES" == app(scene)("socket", "take", "open/control")


def test_the_broker_cannot_fill_the_store(scene: Scene, door: str) -> None:
    """`entries-per-uid: 256`, the boxes and the connection counted."""
    for number in range(3, 256):
        broker(scene).prepares("stash", f"db/app/{number}", "socket")

    assert "EDQUOT" == broker(scene)(door, "stash", "db/app/256", "socket")
