"""Moments, for people."""

import time

_SECOND = 1_000_000_000


def to_the_minute(nanoseconds: int) -> str:
    """Local date and time, such as `2026-11-21 03:37`."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(nanoseconds // _SECOND))


def to_the_second(nanoseconds: int) -> str:
    """Local date and time, such as `2026-11-21 03:37:11`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(nanoseconds // _SECOND))


def time_of_day(nanoseconds: int) -> str:
    """Local time, such as `03:37:11`."""
    return time.strftime("%H:%M:%S", time.localtime(nanoseconds // _SECOND))
