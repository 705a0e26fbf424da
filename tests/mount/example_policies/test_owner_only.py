"""examples/policies/10-owner-only.yaml does what it says, and so does an instance without a policy."""

import pytest

from tests.mount.example_policies.conftest import Perform
from tests.mount.example_policies.scene import Scene
from tests.mount.example_policies.stage import Role

OWNER = 1000
ACTION_ON_RECORD = {"socket": "retrieve", "mount": "list"}
"""What a request was for that found nothing: the kernel looks a name up before it says what for."""


@pytest.fixture(params=[("10-owner-only.yaml",), ()], ids=["the example", "without a policy"])
def scene(request: pytest.FixtureRequest, perform: Perform) -> Scene:
    """A user has stashed something that mode bits would let everybody have."""
    scene = perform(*request.param)
    owner(scene).prepares("stash", "state")
    return scene


def owner(scene: Scene) -> Role:
    """Who stashed it."""
    return scene.role(OWNER)


def others(scene: Scene) -> list[Role]:
    """Another user, root, and the same user in a user namespace below."""
    return [scene.role("backup"), scene.role("root"), scene.role(OWNER, container="one")]


def test_what_somebody_stashed_is_his(scene: Scene, door: str) -> None:
    """What somebody stashed is his: he may do everything with it."""
    his = owner(scene)

    assert ["state"] == his(door, "names")
    assert "done" == his(door, "retrieve", "state")
    assert "done" == his(door, "describe", "state")
    assert "done" == his(door, "rename", "state", "kept")
    assert "done" == his(door, "link", "kept", "also")
    assert "done" == his(door, "discard", "kept")
    assert "done" == his("socket", "take", "also")


def test_and_nobody_elses(scene: Scene, door: str) -> None:
    """And nobody else's: not another user's, not root's, not the same user's in another user namespace."""
    for other in others(scene):
        assert [] == other(door, "names")
        assert "ENOENT" == other(door, "retrieve", "state")
        assert "ENOENT" == other(door, "describe", "state")
        assert "ENOENT" == other(door, "discard", "state")
        assert "ENOENT" == other("socket", "take", "state")


def test_everybody_has_what_he_stashes(scene: Scene, door: str) -> None:
    """Others stash things of their own beside it, but not under a name that is taken."""
    for number, other in enumerate(others(scene)):
        own = f"state-{number}"

        assert "done" == other(door, "stash", own)
        assert [own] == other(door, "names")
        assert "done" == other(door, "retrieve", own)
        assert "EACCES" == other(door, "stash", "state")


def test_a_denial_carries_a_name(scene: Scene, door: str) -> None:
    """The forbid rule is there so that a denial carries a name: in the audit log, which no denied user sees."""
    other = scene.role("backup")
    other(door, "retrieve", "state")
    denial = scene.denials(other.actor.pid)[-1]

    assert ["others-may-do-nothing"] == denial["rules"]
    assert (ACTION_ON_RECORD[door], "hidden") == (denial["action"], denial["reason"])


def test_no_rule_added_elsewhere_gives_it_away(perform: Perform, door: str) -> None:
    """No rule added elsewhere can give away what this file protects."""
    scene = perform("10-owner-only.yaml", "everything.yaml")
    owner(scene).prepares("stash", "state")

    assert ["ENOENT"] * 3 == [other(door, "retrieve", "state") for other in others(scene)]
    assert "done" == owner(scene)(door, "retrieve", "state")
