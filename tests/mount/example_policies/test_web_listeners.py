"""examples/policies/20-web-listeners.yaml does what it says."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role
from tests.mount.policies import allowing

SERVICE = "/system.slice/nginx.service"
BIND = ("net_bind_service",)


@pytest.fixture
def tier(perform: Perform) -> Scene:
    """root has stashed a listener, whose mode lets everybody have it."""
    scene = perform("20-web-listeners.yaml")
    scene.role().prepares("box", "listen")
    scene.role().prepares("stash", "listen/http", "socket")
    return scene


def nginx(tier: Scene) -> Role:
    """A worker of nginx."""
    return tier.role("www-data", f"{SERVICE}/workers", can=BIND)


def test_root_stashes(tier: Scene, door: str) -> None:
    """root opens ports 80 and 443 and stashes them below `listen/`."""
    root = tier.role()

    assert "done" == root(door, "box", "listen/more")
    assert "done" == root(door, "stash", "listen/more/https", "socket")
    assert "EACCES" == root(door, "stash", "elsewhere", "socket")
    assert "EACCES" == nginx(tier)(door, "stash", "listen/mine", "socket")


def test_nginx_fetches(tier: Scene, door: str) -> None:
    """nginx, running as www-data in its own service with CAP_NET_BIND_SERVICE, may fetch them."""
    assert "done" == nginx(tier)(door, "retrieve", "listen/http")
    assert ["listen", "listen/http"] == nginx(tier)(door, "names")
    assert "EACCES" == nginx(tier)(door, "discard", "listen/http")


def test_only_nginx_fetches(tier: Scene, door: str) -> None:
    """Only nginx, with all three: to everybody else there is nothing, whatever the mode bits say."""
    others = [
        tier.role("backup", SERVICE, can=BIND),
        tier.role("www-data", "/system.slice/cron.service", can=BIND),
        tier.role("www-data", f"/user.slice{SERVICE}", can=BIND),
        tier.role("www-data", f"/../outside{SERVICE}", can=BIND),
        tier.role("www-data", SERVICE),
    ]

    assert ["ENOENT"] * 5 == [other(door, "retrieve", "listen/http") for other in others]
    assert [[]] * 5 == [other(door, "names") for other in others]


def test_only_listeners(tier: Scene, door: str) -> None:
    """It fetches sockets: not what else root may put there."""
    tier.role().prepares("stash", "listen/file", "memfd")

    assert "ENOENT" == nginx(tier)(door, "retrieve", "listen/file")


def test_only_what_is_below_listen(perform: Perform, door: str) -> None:
    """It fetches what root stashes below `listen/`: other sockets, that another policy lets root stash, it does not."""
    tier = perform("20-web-listeners.yaml", beside=allowing("more", "private", actions="stash, list"))
    tier.role().prepares("stash", "private", "socket")

    assert "EACCES" == nginx(tier)(door, "retrieve", "private")


def test_nothing_there_lends_power(perform: Perform, door: str) -> None:
    """Should another policy allow more, a file that lends its opener's power stays where it is all the same."""
    tier = perform("20-web-listeners.yaml", "everything.yaml")
    tier.role().prepares("box", "listen")
    tier.role().prepares("stash", "listen/control", "proc")

    assert "EACCES" == nginx(tier)(door, "retrieve", "listen/control")
    assert "EACCES" == nginx(tier)("socket", "take", "listen/control")


def test_root_does_not_fetch(tier: Scene, door: str) -> None:
    """Only nginx: root sees them, may take them away, and doesn't get them back."""
    root = tier.role()

    assert "EACCES" == root(door, "retrieve", "listen/http")
    assert "done" == root(door, "describe", "listen/http")
    assert "done" == root(door, "discard", "listen/http")
