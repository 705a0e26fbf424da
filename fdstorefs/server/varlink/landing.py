"""Landing: what is to be done once a client has received the descriptors that were sent to it.

The kernel wakes nobody for that who waits for other things on the same socket. Most clients receive at once, so it is
looked for soon, and then less and less often.
"""

import time

from fdstorefs.server.loop import Timer
from fdstorefs.server.user_turns import Scheduler
from fdstorefs.server.varlink.flight import Flight
from fdstorefs.server.varlink.reply import Landed

FIRST_SECONDS, LONGEST_SECONDS = 0.001, 1.0


class Landing:
    """Waits until everything sent before it was made is received, then calls `landed`, which is None from then on."""

    def __init__(self, loop: Scheduler, flight: Flight, landed: Landed) -> None:
        self._loop = loop
        self._flight = flight
        self.landed: Landed | None = landed
        self._pause = FIRST_SECONDS
        self._timer = self._again()

    @property
    def is_over(self) -> bool:
        """Whether it has been called."""
        return self.landed is None

    def pause(self) -> None:
        """Look no more; it is not over."""
        self._timer.cancel()

    def go_on(self) -> None:
        """Look again, after a pause."""
        self._timer = self._again()

    def close(self) -> None:
        """The connection ends. What its client has not received by now it may still receive."""
        self._timer.cancel()
        self._end(self._flight.landed())

    def _again(self) -> Timer:
        return self._loop.call_at(time.monotonic() + self._pause, self._look)

    def _look(self) -> None:
        if self._flight.landed():
            self._end(True)
            return
        self._pause = min(2 * self._pause, LONGEST_SECONDS)
        self._timer = self._again()

    def _end(self, arrived: bool) -> None:
        landed, self.landed = self.landed, None
        if landed is not None:
            landed(arrived)
