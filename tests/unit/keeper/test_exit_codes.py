"""What the keeper ends with when its server has ended for good."""

import signal

import pytest

from fdstorefs.keeper.ending import FAILED, exit_code


@pytest.mark.parametrize(
    ("expected", "status", "told"),
    [
        (0, 0, 0),
        (3, 3, 0),
        (FAILED, None, None),
        (7, None, 7),
        (128 + signal.SIGKILL, -signal.SIGKILL, 0),
        (128 + signal.SIGTERM, -signal.SIGTERM, None),
    ],
)
def test_it_is_the_servers(expected: int, status: int | None, told: int | None) -> None:
    """As its parent sees it; what it told itself where nobody sees it."""
    assert expected == exit_code(status, told)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_being_told_to_end_twice_is_no_failure(how: signal.Signals) -> None:
    """systemd tells every process of a unit, and so does the keeper."""
    assert 0 == exit_code(-how, 0)
