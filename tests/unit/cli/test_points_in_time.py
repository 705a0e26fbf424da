"""Points in time as people write them."""

import argparse
import time
from datetime import UTC, datetime

import pytest

from fdstorefs.cli.time_point import before, time_point

NOW = datetime(2026, 11, 21, 6, 10, 0, 500_000, UTC)


def at(text: str, now: datetime = NOW) -> str:
    """The point in time, in words that are easy to compare."""
    seconds, rest = divmod(before(text, now), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}"


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-21 06:10:00.500000000"),
        ("10m", "2026-11-21 06:00:00.500000000"),
        ("1.5h", "2026-11-21 04:40:00.500000000"),
        ("90 s", "2026-11-21 06:08:30.500000000"),
        ("2d", "2026-11-19 06:10:00.500000000"),
        ("1w", "2026-11-14 06:10:00.500000000"),
        ("today", "2026-11-21 00:00:00.000000000"),
        ("yesterday", "2026-11-20 00:00:00.000000000"),
        ("2026-11-01", "2026-11-01 00:00:00.000000000"),
        ("2026-11-01T15:30", "2026-11-01 15:30:00.000000000"),
        ("2026-11-01 15:30:01.000001", "2026-11-01 15:30:01.000001000"),
        ("2026-11-01T15:30:00.123456789Z", "2026-11-01 15:30:00.123456000"),
        ("2026-11-01T15:30+02:00", "2026-11-01 13:30:00.000000000"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    """Relative to now, a day, or as ISO 8601 has it."""
    assert expected == at(text)


@pytest.mark.usefixtures("utc")
def test_days_begin_at_midnight_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at midnight UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()

    assert "2026-11-20 15:00:00.000000000" == at("today", NOW.astimezone())
    assert "2026-11-20 15:00:00.000000000" == at("2026-11-21", NOW.astimezone())


@pytest.mark.parametrize("text", ["", "soon", "10", "10 minutes", "m", "99999999999w", "2026-13-01", "-5m"])
def test_what_is_no_time(text: str) -> None:
    """With the forms there are."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no time; write `10m`"):
        time_point(text)
