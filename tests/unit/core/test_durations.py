"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.duration import LONGEST, SECOND, check_duration, parse_duration
from fdstorefs.errors import InvalidArgument

GOOD = {
    "90s": 90 * SECOND,
    "2h": 7200 * SECOND,
    "1h30m": 5400 * SECOND,
    " 1h 30m ": 5400 * SECOND,
    "250ms": SECOND // 4,
    "0.5s": SECOND // 2,
    "0.000000001s": 1,
    "1.5d": 129_600 * SECOND,
    "1w": 604_800 * SECOND,
}
BAD = ["", "90", "s", "-1s", "1x", "1 h x", "0s", "1e3s", "1h30", "٣s", "9999999999w", "1.s", ".5s"]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_one(text: str) -> None:
    """In nanoseconds, exactly."""
    assert GOOD[text] == parse_duration(text)


@pytest.mark.parametrize("text", BAD)
def test_what_is_none(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidArgument):
        parse_duration(text)


@given(st.integers(1, 10**9), st.integers(0, 59))
def test_parts_add_up(minutes: int, seconds: int) -> None:
    """As long as it is no more than a hundred years."""
    wanted = (60 * minutes + seconds) * SECOND
    if wanted > LONGEST:
        return

    assert wanted == parse_duration(f"{minutes}m{seconds}s")


@pytest.mark.parametrize("duration", [0, -1, LONGEST + 1])
def test_nothing_lasts_no_time_or_for_ever(duration: int) -> None:
    """Given as a number, too."""
    with pytest.raises(InvalidArgument):
        check_duration(duration)
