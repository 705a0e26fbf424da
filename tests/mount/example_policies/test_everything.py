"""examples/policies/everything.yaml does what it says."""

from tests.mount.example_policies.conftest import Perform

USER = 1000


def test_mode_bits_alone_decide(perform: Perform, door: str) -> None:
    """Mode bits alone decide, as in any directory: whoever they let have an entry has it, others see it."""
    scene = perform("everything.yaml")
    scene.role().prepares("stash", "open", mode=0o666)
    scene.role().prepares("stash", "closed", mode=0o600)
    user = scene.role(USER)

    assert ["closed", "open"] == user(door, "names")
    assert "done" == user(door, "retrieve", "open")
    assert "EACCES" == user(door, "retrieve", "closed")
    assert "done" == scene.role(USER, container="one")(door, "retrieve", "open")


def test_the_owner_says_who_may_have_it(perform: Perform, door: str) -> None:
    """The owner of an entry says with chmod who may have it, and nobody else does."""
    scene = perform("everything.yaml")
    owner, other = scene.role(USER), scene.role("backup")
    owner.prepares("stash", "state", mode=0o600)
    before = other(door, "retrieve", "state")

    assert "EPERM" == other("mount", "chmod", "state", 0o666)
    assert "done" == owner("mount", "chmod", "state", 0o666)
    assert ("EACCES", "done") == (before, other(door, "retrieve", "state"))
