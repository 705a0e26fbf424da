"""Attack 1: retrieve over the socket, and open the entry."""

import errno

import pytest

from tests.kernel import attempts
from tests.kernel.attackers import NAME, SECRET, Scene, by_each


@by_each
def test_over_the_socket(scene: Scene) -> None:
    """The server sends the descriptor, and the kernel doesn't let it arrive."""
    answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)

    assert ([], True) == (answer["texts"], answer["truncated"])
    scene.require_refused()
    scene.require_service_gets_it()


@by_each
def test_opening_the_entry(scene: Scene) -> None:
    """It isn't opened for him."""
    with pytest.raises(OSError) as refusal:
        scene.attacker.call(attempts.open_entry, scene.mount, NAME)

    assert errno.EACCES == refusal.value.errno
    scene.require_refused()
    assert SECRET == scene.service.call(attempts.open_entry, scene.mount, NAME)
