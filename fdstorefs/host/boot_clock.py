"""The clock that entries expire by: nobody sets it, and it goes on while the machine sleeps."""

import time

from fdstorefs.host import syscalls

_DRIFT = 1_000_000


def boottime() -> int:
    """Nanoseconds of CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_timer() -> int:
    """A timer of that clock, as a descriptor; see `syscalls.set_timer`. Raises OSError."""
    return syscalls.timerfd(time.CLOCK_BOOTTIME)


class Calendar:
    """Tells the date of moments of that clock, for people.

    A date is the same whenever it is asked for, as long as nobody sets the calendar's clock: by a millisecond it may
    differ from what that says.
    """

    def __init__(self) -> None:
        self._offset = 0

    def date(self, moment: int) -> int:
        """Nanoseconds since the epoch."""
        offset = time.time_ns() - boottime()
        if abs(offset - self._offset) > _DRIFT:
            self._offset = offset
        return moment + self._offset
