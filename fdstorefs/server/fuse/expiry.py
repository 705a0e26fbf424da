"""When an entry expires, as the extended attribute has it: what is read can be written."""

import re
import time

from fdstorefs.core.duration import LONGEST, SECOND, parse_duration
from fdstorefs.errors import InvalidArgument
from fdstorefs.host.boot_clock import boottime

_MOMENT = re.compile(r"@([0-9]{1,12})(?:\.([0-9]{1,9}))?")


def as_moment(date: int) -> str:
    """`@` and seconds since the epoch; `date` is in ns."""
    return f"@{date // SECOND}.{date % SECOND:09d}"


def parse_expiry(text: str) -> int:
    """When an entry goes, in ns of CLOCK_BOOTTIME: after a duration (`90s`), or at a moment (`@1795267631.5`).

    A moment that is over is now. Raises InvalidArgument.
    """
    moment = _MOMENT.fullmatch(text.strip())
    if moment is None:
        return boottime() + parse_duration(text)
    date = int(moment[1]) * SECOND + int((moment[2] or "").ljust(9, "0"))
    ahead = max(date - time.time_ns(), 0)
    if ahead > LONGEST:
        raise InvalidArgument(f"`{text}` is more than a hundred years ahead")
    return boottime() + ahead
