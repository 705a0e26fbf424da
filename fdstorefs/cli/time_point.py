"""Points in time as people write them."""

import argparse
import re
from datetime import datetime, timedelta

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MICROSECOND = timedelta(microseconds=1)


def time_point(text: str) -> int:
    """Nanoseconds since the epoch of what `--since` says. Raises ArgumentTypeError.

    `10m` is ten minutes ago; `yesterday` and `today` begin at midnight; anything else is as ISO 8601 has it,
    local time unless it says otherwise.
    """
    return before(text, datetime.now().astimezone())


def before(text: str, now: datetime) -> int:
    """The same, seen from `now`, which knows its time zone."""
    point = _relative(text.strip(), now) or _absolute(text.strip())
    if point is None:
        raise argparse.ArgumentTypeError(
            f"`{text}` is no time; write `10m`, `2h`, `3d`, `today`, `yesterday`, `2026-11-21` or `2026-11-21T15:30`"
        )
    return _nanoseconds(point)


def _relative(text: str, now: datetime) -> datetime | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    match text:
        case "now":
            return now
        case "today":
            return midnight.astimezone()
        case "yesterday":
            return (midnight - timedelta(days=1)).astimezone()
    ago = _AGO.fullmatch(text)
    if ago is None:
        return None
    try:
        return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    except OverflowError:
        return None


def _absolute(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


def _nanoseconds(point: datetime) -> int:
    # In whole numbers: a float of seconds since the epoch is not good to the microsecond.
    epoch = datetime.fromtimestamp(0, point.tzinfo)
    return (point - epoch) // _MICROSECOND * 1000
