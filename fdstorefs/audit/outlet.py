"""One sink and the lines that wait for it: written in a thread, by the batch, kept while the sink is out of order."""

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from fdstorefs.audit.runner import Runner, Timer
from fdstorefs.audit.sinks.sink import Sink, Taken

log = logging.getLogger(__name__)

MOST_WAITING = 4 * 1024 * 1024
"""Bytes of lines that wait for one sink; what comes on top is lost to it."""

MOST_LINES_AT_ONCE, MOST_BYTES_AT_ONCE = 4096, 1 << 20
"""What one write is given at most, or a line that is longer by itself."""

ROOM = MOST_BYTES_AT_ONCE
"""Bytes that there must be room for, or the log is asked to wait."""

HANGING_SECONDS = 1.0
"""How long a write may take before nobody waits for it any more."""

LAST_WRITE_SECONDS = 0.5
"""How long is waited for a write at the end."""

FIRST_RETRY, LAST_RETRY = 0.1, 30.0


class Line(NamedTuple):
    """A record, and the number that it is counted by."""

    seq: int
    text: bytes


class Loss(NamedTuple):
    """Records that a target did not get, by number, and the error that kept it from taking them, if any."""

    target: str
    lost: int
    first_seq: int
    last_seq: int
    cause: str | None


class Feed(NamedTuple):
    """A sink to be fed, under its target's name. `sync_after`: seconds from a write to a sync; None: no syncs."""

    name: str
    sink: Sink
    sync_after: float | None = None


class Outlet:
    """Hands lines to a sink. Everything but the sink's own methods is called in the loop's thread.

    `report` is told of a loss once the sink takes lines again.
    """

    def __init__(self, feed: Feed, runner: Runner, report: Callable[[Loss], None]) -> None:
        self.name = feed.name
        self.written = 0
        self.lost = 0
        self.error: str | None = None
        self._sink = feed.sink
        self._runner = runner
        self._report = report
        self._sync_after = feed.sync_after
        self._waiting: deque[Line] = deque()
        self._size = 0
        self._loss: Loss | None = None
        self._flight: _Flight | None = None
        self._delay = FIRST_RETRY
        self._retry: Timer | None = None
        self._ending = False
        self._sync_timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many lines wait for the sink."""
        return len(self._waiting)

    @property
    def is_settled(self) -> bool:
        """Whether the sink has all that it will take for now."""
        return self._flight is None and (not self._waiting or self.error is not None)

    @property
    def is_catching_up(self) -> bool:
        """Whether it has no room now, and soon will: the sink is writing, and neither hangs nor is out of order."""
        flight = self._flight
        return (
            flight is not None
            and self.error is None
            and self._size + ROOM > MOST_WAITING
            and time.monotonic() - flight.since < HANGING_SECONDS
        )

    def offer(self, lines: Sequence[Line]) -> None:
        """Take lines, as far as there is room, and write them as soon as the sink is free."""
        for line in lines:
            if self._size + len(line.text) > MOST_WAITING:
                self._lose(line)
            else:
                self._waiting.append(line)
                self._size += len(line.text)
        self._start()

    def settled(self, latest: int) -> int:
        """The number up to which it has taken all that it will take, and told of all that it lost.

        `latest` is that of the last line that it was offered.
        """
        first = self._waiting[0].seq if self._waiting else latest + 1
        return min(first, self._loss.first_seq if self._loss is not None else first) - 1

    def _lose(self, line: Line) -> None:
        self.lost += 1
        former = self._loss
        lost, first = (former.lost + 1, former.first_seq) if former is not None else (1, line.seq)
        self._loss = Loss(self.name, lost, first, line.seq, self.error)

    def _start(self) -> None:
        if self._ending or self._flight is not None or self._retry is not None or not self._waiting:
            return
        batch = self._batch()
        self._fly(lambda: self._sink.write(batch))

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for line in islice(self._waiting, MOST_LINES_AT_ONCE):
            size += len(line.text)
            if batch and size > MOST_BYTES_AT_ONCE:
                break
            batch.append(line.text)
        return batch

    def _fly(self, work: Callable[[], Taken]) -> None:
        flight = _Flight(work)
        self._runner.in_thread(flight.carry_out, lambda _result: self._landed(flight))
        self._flight = flight

    def _landed(self, flight: "_Flight") -> None:
        if self._ending or self._flight is not flight:
            return
        self._flight = None
        self._settle(flight.taken)
        self._start()

    def _settle(self, taken: Taken) -> None:
        for _ in range(taken.lines):
            self._size -= len(self._waiting.popleft().text)
        self.written += taken.lines
        if taken.error is not None:
            self._failed(taken.error)
            return
        self._recovered()
        if taken.lines:
            self._sync_later()

    def _failed(self, error: OSError) -> None:
        if self.error is None:
            log.error("the audit log cannot be written to %s: %s", self.name, error)
        self.error = str(error)
        if not self._ending:
            self._retry = self._runner.call_at(time.monotonic() + self._delay, self._try_again)
            self._delay = min(2 * self._delay, LAST_RETRY)

    def _try_again(self) -> None:
        self._retry = None
        if self._waiting:
            self._start()
        else:
            self._sync()

    def _recovered(self) -> None:
        if self.error is not None:
            log.warning("the audit log is written to %s again, %d records lost", self.name, self.lost)
            self.error = None
        self._delay = FIRST_RETRY
        if self._loss is not None:
            loss, self._loss = self._loss, None
            self._report(loss)

    # To disk

    def _sync_later(self) -> None:
        if self._sync_after is not None and self._sync_timer is None and not self._ending:
            self._sync_timer = self._runner.call_at(time.monotonic() + self._sync_after, self._sync_due)

    def _sync_due(self) -> None:
        self._sync_timer = None
        if self._flight is None and self._retry is None:
            self._sync()
        else:
            self._sync_later()

    def _sync(self) -> None:
        self._fly(lambda: Taken(0, self._sink.sync()))

    # The end: `land`, then the last lines by `make_room` and `offer`, then `begin_last_flight`, then `end`. The
    # loop need not run.

    def land(self, until: float) -> None:
        """Start no more writes in the loop, and wait for the one under way, to time.monotonic() `until` at most."""
        self._ending = True
        for timer in (self._retry, self._sync_timer):
            if timer is not None:
                timer.cancel()
        self._await_flight(until)

    def make_room(self, until: float) -> None:
        """Write what waits if there is too much of it to take more, for a while, and to `until` at most."""
        if self._flight is not None or self.error is not None or self._size + ROOM <= MOST_WAITING:
            return
        batch = [line.text for line in self._waiting]
        self._fly_apart(lambda: self._sink.write(batch))
        self._await_flight(min(until, time.monotonic() + LAST_WRITE_SECONDS))

    def begin_last_flight(self) -> None:
        """Begin to write what waits; then sync and close the sink."""
        if self._flight is not None:
            return
        batch = [line.text for line in self._waiting]
        self._fly_apart(lambda: self._write_and_close(batch))

    def _fly_apart(self, work: Callable[[], Taken]) -> None:
        self._flight = _Flight(work)
        threading.Thread(target=self._flight.carry_out, name="fdstorefs-audit", daemon=True).start()

    def end(self, until: float) -> None:
        """Wait for that, to `until` at most. What is not known to be written by then counts as lost."""
        self._await_flight(until)
        for line in self._waiting:
            self._lose(line)
        self._waiting.clear()

    def _await_flight(self, until: float) -> None:
        flight = self._flight
        if flight is not None and flight.landed.wait(max(until - time.monotonic(), 0)):
            self._flight = None
            self._settle(flight.taken)

    def _write_and_close(self, batch: Sequence[bytes]) -> Taken:
        taken = self._sink.write(batch)
        if taken.error is None and self._sync_after is not None:
            taken = Taken(taken.lines, self._sink.sync())
        self._sink.close()
        return taken


class _Flight:
    """One call of a sink, in a thread, begun at `since`. `taken` is how it ended, once it has `landed`."""

    def __init__(self, work: Callable[[], Taken]) -> None:
        self._work = work
        self.taken = Taken(0)
        self.since = time.monotonic()
        self.landed = threading.Event()

    def carry_out(self) -> None:
        """Do it. Called in a thread."""
        try:
            self.taken = self._work()
        except Exception as error:
            log.exception("writing the audit log failed in an unforeseen way")
            self.taken = Taken(0, OSError(errno.EIO, repr(error)))
        self.landed.set()
