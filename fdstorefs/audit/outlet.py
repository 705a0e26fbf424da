"""One sink and the lines that wait for it: written in a thread, by the batch, kept while the sink is out of order."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from fdstorefs.audit.sinks.sink import Sink, Taken

log = logging.getLogger(__name__)

MOST_WAITING = 4 * 1024 * 1024
"""Bytes of lines that wait for one sink; what comes on top is lost to it."""

MOST_LINES_AT_ONCE = 4096
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


class Timer(Protocol):
    """What `call_at` returns."""

    def cancel(self) -> None:
        """Call it off."""


class Runner(Protocol):
    """The loop, as far as the log needs it: see `server.loop.Loop`."""

    def in_thread(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        """Do `work` in a thread, then `done(its result)` in the loop."""

    def call_at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call in the loop at a time of time.monotonic()."""

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call in the next turn of the loop."""

    def when_idle(self, function: Callable[[], bool]) -> None:
        """Call when the loop has nothing else to do, until it returns False."""


class Outlet:
    """Hands lines to a sink. Everything but the sink's own methods is called in the loop's thread.

    `report` is told of a loss once the sink takes lines again. `sync_after` is in how many seconds after a write
    the sink is told to sync; None: not.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        runner: Runner,
        report: Callable[[Loss], None],
        sync_after: float | None = None,
    ) -> None:
        self.name = name
        self.written = 0
        self.lost = 0
        self.error: str | None = None
        self._sink = sink
        self._runner = runner
        self._report = report
        self._sync_after = sync_after
        self._waiting: deque[Line] = deque()
        self._size = 0
        self._loss: Loss | None = None
        self._flight: _Flight | None = None
        self._delay = FIRST_RETRY
        self._retry: Timer | None = None
        self._unsynced = False
        self._sync_timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many lines wait for the sink."""
        return len(self._waiting)

    def offer(self, lines: Sequence[Line]) -> None:
        """Take lines, as far as there is room, and write them as soon as the sink is free."""
        for line in lines:
            if self._size + len(line.text) > MOST_WAITING:
                self._lose(line)
            else:
                self._waiting.append(line)
                self._size += len(line.text)
        self._start()

    def _lose(self, line: Line) -> None:
        self.lost += 1
        former = self._loss
        lost, first = (former.lost + 1, former.first_seq) if former is not None else (1, line.seq)
        self._loss = Loss(self.name, lost, first, line.seq, self.error)

    def _start(self) -> None:
        if self._flight is not None or self._retry is not None or not self._waiting:
            return
        batch = [line.text for line in islice(self._waiting, MOST_LINES_AT_ONCE)]
        self._fly(lambda: self._sink.write(batch))

    def _fly(self, work: Callable[[], Taken]) -> None:
        flight = self._flight = _Flight(work)
        self._runner.in_thread(flight.carry_out, lambda _result: self._landed(flight))

    def _landed(self, flight: "_Flight") -> None:
        if self._flight is not flight:
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
        self._retry = self._runner.call_at(time.monotonic() + self._delay, self._try_again)
        self._delay = min(2 * self._delay, LAST_RETRY)

    def _try_again(self) -> None:
        self._retry = None
        if self._waiting:
            self._start()
        else:
            self._sync_now()

    def _recovered(self) -> None:
        if self.error is not None:
            log.warning("the audit log is written to %s again, %d records lost", self.name, self.lost)
            self.error = None
        self._delay = FIRST_RETRY
        if self._loss is not None:
            loss, self._loss = self._loss, None
            self._report(loss)

    def _sync_later(self) -> None:
        if self._sync_after is not None and self._sync_timer is None:
            self._sync_timer = self._runner.call_at(time.monotonic() + self._sync_after, self._sync_due)

    def _sync_due(self) -> None:
        self._sync_timer = None
        if self._flight is None:
            self._sync_now()
        else:
            self._sync_later()

    def _sync_now(self) -> None:
        if self._flight is None:
            self._fly(lambda: Taken(0, self._sink.sync()))

    # The end

    def finish(self, until: float) -> int:
        """Write what waits, sync and close the sink, but no longer than to `until` (time.monotonic()).

        The loop need not run any more. Returns how many lines were not written, which are lost.
        """
        if self._flight is None:
            self._flight = _Flight(self._last_work([line.text for line in self._waiting]))
            threading.Thread(target=self._flight.carry_out, name="fdstorefs-audit", daemon=True).start()
        flight = self._flight
        if not flight.landed.wait(max(until - time.monotonic(), 0)):
            return self._give_up()
        return 0

    def _last_work(self, lines: Sequence[bytes]) -> Callable[[], Taken]:
        raise NotImplementedError

    def _give_up(self) -> int:
        return 0
