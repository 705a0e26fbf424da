"""Attack 2: look at a message (MSG_PEEK), which installs its descriptors without taking it."""

from tests.kernel import attempts
from tests.kernel.attackers import NAME, SECRET, Scene, by_each
from tests.kernel.handing import handed


@by_each
def test_at_what_the_server_sends(scene: Scene) -> None:
    """The descriptor isn't there."""
    answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.PEEK)

    assert ([], True) == (answer["texts"], answer["truncated"])
    scene.require_refused()
    assert [SECRET] == scene.service.call(attempts.ask, scene.mount, NAME, attempts.PEEK)["texts"]


@by_each
def test_at_what_somebody_who_has_it_sends(scene: Scene) -> None:
    """Nor is it there, and looking often doesn't help."""
    arrived = handed(
        scene.holder, scene.attacker, NAME, flags=(attempts.PEEK, attempts.PEEK, attempts.NO_FLAGS)
    )

    assert [([], True)] * 3 == [(each["texts"], each["truncated"]) for each in arrived]
    scene.require_refused()
    seen = handed(scene.holder, scene.service, NAME, flags=(attempts.PEEK, attempts.NO_FLAGS))
    assert [[SECRET], [SECRET]] == [each["texts"] for each in seen]
