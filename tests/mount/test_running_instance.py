"""The fixtures that the other tests of this tier stand on."""

import signal
from collections.abc import Callable

import pytest

from tests.mount.cast import ORDINARY_USER, mounted_below
from tests.mount.instance import Instance
from tests.mount.test_mounting import needs_root

Start = Callable[..., Instance]

IN_ITS_MANNERS = [
    pytest.param(None, False, id="as whoever runs the tests"),
    pytest.param(ORDINARY_USER, False, id="as an ordinary user", marks=needs_root),
    pytest.param(ORDINARY_USER, True, id="in a user namespace", marks=needs_root),
]


@pytest.mark.parametrize(("user", "namespace"), IN_ITS_MANNERS)
def test_it_serves_until_it_is_stopped(running_instance: Start, user: str | None, namespace: bool) -> None:
    """A command run beside it sees its mount; SIGTERM ends it with status 0 and unmounts."""
    instance = running_instance(user=user, namespace=namespace)

    seen = instance.run(["stat", "--file-system", "--format=%T", instance.mount])

    assert "fuseblk\n" == seen.stdout, seen.stderr
    assert 0 == instance.stop(), instance.said()
    assert [] == mounted_below(instance.mount)


def test_one_that_was_killed_is_cleaned_up(running_instance: Start) -> None:
    """SIGKILL leaves a dead mount; taking that away is the fixture's business."""
    instance = running_instance()

    assert -signal.SIGKILL == instance.stop(signal.SIGKILL)
    assert [instance.mount] == mounted_below(instance.mount)
