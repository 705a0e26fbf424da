"""The audit log of one instance: takes decisions, and writes them down when there is time.

`verdict` is on the way of every reply, so it only queues. A hundred times a second, if there is anything, the loop
is asked to make records of what is queued when it has nothing else to do, a few at a time: many together cost half
of what each costs by itself. Where it never rests they are made between other work. They are handed to the sinks by
the batch, which write in threads. Whatever fails on the way, no verdict waits and none changes: what there is no
room for is lost, and counted. But while a sink that works has no room, records stay in the queue, up to half of what
it holds. Numbers are given when a decision comes in, so a loss always shows. The latest is where it outlives the
server, and so is the one up to which nothing is under way any more: if the server is killed, the next one knows what
may be lost.

Who the subject is, is looked up while it is sure to be itself: at once where it was denied something, so that it
cannot hide by ending, and where nothing but its waiting for the reply binds it to its number (through the mount);
as soon as the loop rests, where its connection holds it. What it is told of must not be looked up later: it could
have ended by then.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fdstorefs.audit.decision import Decision
from fdstorefs.audit.format import EventValue, Formatter
from fdstorefs.audit.memory import RECORD, SETTLED, Numbers
from fdstorefs.audit.outlet import Feed, Line, Loss, Outlet
from fdstorefs.audit.record import EVENT_FIELDS, Event
from fdstorefs.audit.runner import Runner

log = logging.getLogger(__name__)

MOST_QUEUED = 65_536
AT_ONCE = 16
"""Records that are made before the loop looks again whether somebody wants something."""

PERIOD = 0.01
"""Seconds from a decision to when records are made of it and what came since."""

BUSY = 4096
"""Decisions in the queue, if that is less than half of what it holds, that are too many to wait for a rest."""

SLICE_SECONDS = 0.0005
"""How long records are then made in one turn of the loop."""

BATCH = 256
"""Records that are handed over together while there are more to make."""

BATCH_BYTES = 1 << 19
"""Bytes of records that are handed over however few they are."""

SETTLING_SECONDS = 0.001
"""How often it is looked whether all is written, before another server goes on."""

PATIENCE = 2.0
"""Seconds that `close` waits for the sinks."""


class _Happening(NamedTuple):
    """An event in the queue."""

    seq: int
    kind: Event
    moment: tuple[int, int]
    fields: Mapping[str, EventValue]


class AuditLog:
    """Takes decisions and events. All methods are called in the loop's thread.

    `written` records were made for the sinks of `feeds`; `lost` ones never were. What a sink loses is counted beside
    it. Without sinks nothing is taken at all: `enabled` is False. At most `most` decisions are queued. `numbers` are
    those that it goes on from (see `memory`).
    """

    def __init__(
        self,
        formatter: Formatter,
        feeds: Sequence[Feed],
        runner: Runner,
        most: int = MOST_QUEUED,
        numbers: Numbers | None = None,
    ) -> None:
        self.enabled = bool(feeds)
        self.written = 0
        self.lost = 0
        self._formatter = formatter
        self._outlets = [Outlet(feed, runner, self._tell_of_loss) for feed in feeds]
        self._runner = runner
        self._most = most
        self._many = min(most // 2, BUSY)
        self._queue: deque[Decision | _Happening] = deque()
        self._numbers: Numbers = [0, 0, 0] if numbers is None else numbers
        self._latest = self._numbers[RECORD]
        self._lines: list[Line] = []
        self._size = 0
        self._strangers: deque[Decision] = deque()
        self._known: set[int] = set()
        self._will_turn = False
        self._will_hurry = False

    @property
    def run(self) -> str:
        """This run of the server."""
        return self._formatter.run

    def decision_id(self, number: int) -> str:
        """What the record of the decision with this number is called."""
        return self._formatter.decision_id(number)

    @property
    def queued(self) -> int:
        """How many records are yet to be made."""
        return len(self._queue)

    def verdict(self, decision: Decision) -> None:
        """Put a decision on record. Whether it belongs there, `decision.is_on_record` says."""
        if not self.enabled:
            return
        self._numbers[RECORD] = decision.seq = self._numbers[RECORD] + 1
        queue = self._queue
        if len(queue) >= self._many and not self._has_room():
            return
        subject = decision.subject
        if (
            subject.pid in self._known
            or not decision.verdict
            or not decision.decided
            or decision.via == "mount"
        ):
            decision.details = subject.details()
        else:
            self._ask_soon(decision)
        queue.append(decision)
        if not self._will_turn:
            self._turn_soon()

    def event(self, kind: Event, **fields: EventValue) -> None:
        """Put an event on record, with the fields that `record.EVENT_FIELDS` has for it; a None is left out.

        Raises ValueError if there are others, or one is missing that is always there.
        """
        _check_fields(kind, fields)
        if not self.enabled:
            return
        seq = self._next()
        self._queue.append(_Happening(seq, kind, _now(), fields))
        if not self._will_turn:
            self._turn_soon()

    def missed(self, count: int) -> None:
        """So many were lost before they came here: the next record says so."""
        self._numbers[RECORD] = self._numbers[RECORD] + count
        self.lost += count

    def _next(self) -> int:
        number = self._numbers[RECORD] + 1
        self._numbers[RECORD] = number
        return number

    def _has_room(self) -> bool:
        if not self._will_hurry:
            self._will_hurry = True
            self._runner.call_soon(self._hurry)
        if len(self._queue) < self._most:
            return True
        self.lost += 1
        return False

    # Asking who it was

    def _ask_soon(self, decision: Decision) -> None:
        """Ask after the reply. Whoever asked a moment ago is asked at once: the answer is at hand."""
        self._known.add(decision.subject.pid)
        self._strangers.append(decision)
        if len(self._strangers) == 1:
            self._runner.when_idle(self._ask)

    def _ask(self) -> bool:
        if self._strangers:
            stranger = self._strangers.popleft()
            stranger.details = stranger.subject.details()
        return bool(self._strangers)

    # Making records

    def _turn_soon(self) -> None:
        self._runner.call_at(time.monotonic() + PERIOD, self._begin_turns)
        self._will_turn = True

    def _begin_turns(self) -> None:
        self._runner.when_idle(self._turn)

    def _turn(self) -> bool:
        self._will_turn = False
        if self._must_wait():
            self._turn_soon()
            return False
        for _ in range(min(AT_ONCE, len(self._queue))):
            self._make(self._queue.popleft())
        if not self._queue:
            self._tell_of_the_lost()
            self._hand_over()
            return False
        self._will_turn = True
        return True

    def _hurry(self) -> None:
        self._will_hurry = False
        until = time.monotonic() + SLICE_SECONDS
        while len(self._queue) >= self._many and time.monotonic() < until and not self._must_wait():
            self._make(self._queue.popleft())

    def _must_wait(self) -> bool:
        """Whether a sink needs time to take more, and the queue has room for what comes meanwhile."""
        return len(self._queue) < self._most // 2 and any(outlet.is_catching_up for outlet in self._outlets)

    def _make(self, item: Decision | _Happening) -> None:
        lost_before = item.seq - self._latest - 1
        try:
            if isinstance(item, Decision):
                if self._strangers and self._strangers[0] is item:
                    self._ask()
                text = self._formatter.verdict(item, lost_before)
            else:
                text = self._formatter.event(item.kind, item.moment, item.seq, lost_before, item.fields)
        except Exception:
            self.lost += 1
            log.exception("record %d of the audit log could not be made", item.seq)
            return
        self._latest = item.seq
        self.written += 1
        self._lines.append(Line(item.seq, text))
        self._size += len(text)
        if len(self._lines) >= BATCH or self._size >= BATCH_BYTES:
            self._hand_over()

    def _tell_of_the_lost(self) -> None:
        """Nothing is queued: say so if the last that came were lost, since there may be no next record for long."""
        first, last = self._latest + 1, self._numbers[RECORD]
        if last < first:
            return
        fields = {"lost": last - first + 1, "first_seq": first, "last_seq": last}
        self._make(_Happening(self._next(), Event.AUDIT_LOST, _now(), fields))

    # Handing them over

    def _hand_over(self) -> None:
        self._known.clear()
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        self._numbers[SETTLED] = min(
            (outlet.settled(lines[0].seq - 1) for outlet in self._outlets), default=0
        )
        for outlet in self._outlets:
            outlet.offer(lines)

    def _tell_of_loss(self, loss: Loss) -> None:
        self.event(Event.AUDIT_LOST, **loss._asdict())

    # Another server goes on with it

    def settle(self, done: Callable[[], None]) -> None:
        """Call `done` when every target has what came so far, or cannot take it. Nothing comes meanwhile."""
        while self._queue:
            self._make(self._queue.popleft())
        self._hand_over()
        self._await_settled(done)

    def _await_settled(self, done: Callable[[], None]) -> None:
        if not all(outlet.is_settled for outlet in self._outlets):
            self._runner.call_at(time.monotonic() + SETTLING_SECONDS, lambda: self._await_settled(done))
            return
        if self._outlets:
            self._numbers[SETTLED] = min(outlet.settled(self._latest) for outlet in self._outlets)
        done()

    # The end, and how it stands

    def close(self, cause: str | None = None, patience: float = PATIENCE) -> int:
        """Write down everything that is queued, and that the server ends; `patience` seconds are all there is.

        Returns how many records did not get to some target in all this time, and logs it. To be called after the
        last verdict and before the loop is closed. Nothing is taken any more afterwards.
        """
        if not self.enabled:
            return 0
        start = time.monotonic()
        for outlet in self._outlets:
            outlet.land(start + patience / 2)
        self.event(Event.STOP, cause=cause, written=self.written, lost=self._all_lost())
        self.enabled = False
        self._make_the_last(start + patience * 3 / 4)
        self._hand_over()
        for outlet in self._outlets:
            outlet.begin_last_flight()
        for outlet in self._outlets:
            outlet.end(start + patience)
        return self._say_what_was_lost()

    def _make_the_last(self, until: float) -> None:
        """Make what is queued; out of time, only the last, which says how many were lost."""
        last = self._queue.pop()
        while self._queue and time.monotonic() < until:
            for outlet in self._outlets:
                outlet.make_room(until)
            self._make(self._queue.popleft())
        self.lost += len(self._queue)
        self._queue.clear()
        self._make(last)

    def _all_lost(self) -> int:
        return self.lost + sum(outlet.lost for outlet in self._outlets)

    def _say_what_was_lost(self) -> int:
        lost = self._all_lost()
        if lost:
            log.error("%d records of the audit log are lost", lost)
        return lost

    def status(self) -> dict[str, Any]:
        """How it stands, for the interface's Status and for people."""
        return {
            "queued": self.queued,
            "written": self.written,
            "lost": self.lost,
            "targets": [
                {
                    "target": outlet.name,
                    "written": outlet.written,
                    "waiting": outlet.waiting,
                    "lost": outlet.lost,
                    "error": outlet.error,
                }
                for outlet in self._outlets
            ],
        }


def _now() -> tuple[int, int]:
    return time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _check_fields(kind: Event, fields: Mapping[str, EventValue]) -> None:
    known = EVENT_FIELDS[kind]
    missing = {field.name for field in known if field.always and fields.get(field.name) is None}
    strange = fields.keys() - {field.name for field in known}
    if missing or strange:
        raise ValueError(f"`{kind}` lacks {sorted(missing)} and has no {sorted(strange)}")
