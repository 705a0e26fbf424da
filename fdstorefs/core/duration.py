"""Durations as people write them: `90s`, `2h`, `1h30m`. Pure."""

import re

from fdstorefs.errors import InvalidArgument

SECOND = 1_000_000_000
LONGEST = 100 * 366 * 24 * 3600 * SECOND
"""A hundred years: a moment that far ahead is still a number that every program can hold."""

_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_UNITS |= {"d": 24 * _UNITS["h"], "w": 7 * 24 * _UNITS["h"]}
_PART = r"([0-9]{1,10})(?:\.([0-9]{1,9}))?\s*(ms|[smhdw])"
_PARTS = re.compile(_PART)
_WHOLE = re.compile(rf"(?:{_PART}\s*)+")


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises InvalidArgument for what is no duration, is none at all, or is longer than `LONGEST`."""
    stripped = text.strip()
    if _WHOLE.fullmatch(stripped) is None:
        raise InvalidArgument(f"`{text}` is no duration", hint="write `90s`, `2h`, `1h30m` or `3d`")
    return check_duration(sum(_nanoseconds(*part) for part in _PARTS.findall(stripped)))


def check_duration(duration: int) -> int:
    """The same nanoseconds. Raises InvalidArgument if something can't last so long."""
    if not 0 < duration <= LONGEST:
        raise InvalidArgument("a duration is more than nothing, and no more than a hundred years")
    return duration


def _nanoseconds(whole: str, fraction: str, unit: str) -> int:
    return int(whole) * _UNITS[unit] + int(fraction.ljust(9, "0")) * _UNITS[unit] // SECOND
