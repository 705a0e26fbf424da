"""The log never keeps a verdict waiting, writes when there is time, and counts what it loses."""

import errno
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from fdstorefs.audit import outlet
from fdstorefs.audit.decision import EntryMark
from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.outlet import Feed
from fdstorefs.audit.record import Event
from fdstorefs.audit.sinks.sink import Taken
from fdstorefs.server.loop import Loop
from tests.unit.audit.decisions import DETAILS, INSTANCE, RUN, Living, decision, denial, subject
from tests.unit.audit.schema_check import faults

PATIENCE = 20.0
FULL = OSError(errno.ENOSPC, "no space left on device")


class Shelf:
    """A sink that keeps lines in memory, or does what the test says for each write."""

    def __init__(self, *outcomes: Callable[[Sequence[bytes]], Taken]) -> None:
        self.records: list[dict[str, Any]] = []
        self.writes = 0
        self.syncs = 0
        self.closed = False
        self.after_write: Callable[[], None] = lambda: None
        self._outcomes = list(outcomes)

    def open(self) -> None:
        """It is."""

    def write(self, lines: Sequence[bytes]) -> Taken:
        self.writes += 1
        taken = self._outcomes.pop(0)(lines) if self._outcomes else Taken(len(lines))
        self.records += [json.loads(line) for line in lines[: taken.lines]]
        self.after_write()
        return taken

    def sync(self) -> OSError | None:
        self.syncs += 1
        return None

    def close(self) -> None:
        self.closed = True

    @property
    def seqs(self) -> list[int]:
        """The numbers of the records it has."""
        return [record["seq"] for record in self.records]


def fail(_lines: Sequence[bytes]) -> Taken:
    """The disk is full."""
    return Taken(0, FULL)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that stops by itself should a test forget to."""
    loop = Loop()
    loop.call_at(time.monotonic() + PATIENCE, loop.stop)
    yield loop
    loop.close()


def log_to(loop: Loop, *shelves: Shelf, most: int = 1000, sync_after: float | None = None) -> AuditLog:
    """A log that writes to these."""
    feeds = [Feed(f"shelf:{number}", shelf, sync_after) for number, shelf in enumerate(shelves)]
    return AuditLog(Formatter(INSTANCE, RUN), feeds, loop, most)


def run_until_written(loop: Loop, shelf: Shelf, records: int) -> None:
    """Run the loop until the shelf was given this many."""
    shelf.after_write = lambda: loop.post(loop.stop) if len(shelf.records) >= records else None
    loop.run()
    shelf.after_write = lambda: None
    assert len(shelf.records) >= records


def check(shelf: Shelf) -> None:
    """All records fit the schema, and every gap is accounted for."""
    latest = 0
    for record in shelf.records:
        assert [] == faults(record)
        assert latest + 1 + record["lost_before"] == record["seq"]
        latest = record["seq"]


def test_records_are_written_when_the_loop_rests(loop: Loop) -> None:
    """In order, numbered from 1; `verdict` itself has only put them aside."""
    shelf = Shelf()
    log = log_to(loop, shelf)
    for number in range(600):
        log.verdict(decision(number))
    queued = log.queued
    run_until_written(loop, shelf, 600)

    assert 600 == queued
    assert list(range(1, 601)) == shelf.seqs
    assert shelf.writes <= 4
    check(shelf)


def test_closing_writes_the_rest_and_says_that_it_ends(loop: Loop) -> None:
    """Also in a loop that never ran; nothing is taken afterwards."""
    shelf = Shelf()
    log = log_to(loop, shelf, sync_after=5)
    for number in range(300):
        log.verdict(decision(number))
    lost = log.close("SIGTERM")
    log.verdict(decision())
    log.event(Event.ATTACH, hooks=())

    assert 0 == lost
    assert (0, 301) == (log.queued, len(shelf.records))
    assert ("stop", "SIGTERM") == (shelf.records[-1]["type"], shelf.records[-1]["cause"])
    assert shelf.closed
    assert 1 == shelf.syncs
    check(shelf)


def test_a_full_queue_loses_and_tells_in_the_next_record(loop: Loop) -> None:
    """The oldest stay, numbers go on, and the next record says how many are missing."""
    shelf = Shelf()
    log = log_to(loop, shelf, most=10)
    for number in range(25):
        log.verdict(decision(number))
    lost, queued = log.lost, log.queued
    log.close()

    assert (15, 10) == (lost, queued)
    assert [*range(1, 11), 26] == shelf.seqs
    assert 15 == shelf.records[-1]["lost_before"]
    assert 15 == shelf.records[-1]["lost"]
    check(shelf)


def test_a_loss_is_told_even_if_no_verdict_follows(loop: Loop) -> None:
    """As soon as the queue is empty."""
    shelf = Shelf()
    log = log_to(loop, shelf, most=10)
    for number in range(25):
        log.verdict(decision(number))
    run_until_written(loop, shelf, 11)

    told = shelf.records[-1]
    assert ("audit-lost", 15, 11, 25, 26) == tuple(
        told[name] for name in ("type", "lost", "first_seq", "last_seq", "seq")
    )
    assert "target" not in told
    check(shelf)


def test_events_find_room_in_a_full_queue(loop: Loop) -> None:
    """There are few, and they say what the verdicts were made from."""
    shelf = Shelf()
    log = log_to(loop, shelf, most=2)
    for number in range(5):
        log.verdict(decision(number))
    log.event(Event.ATTACH, hooks=("file_receive",))
    log.close()

    assert ["verdict", "verdict", "attach", "stop"] == [record["type"] for record in shelf.records]
    check(shelf)


def test_a_loop_that_never_rests_does_not_starve_the_log(loop: Loop) -> None:
    """Once the queue is half full, records are made between other work."""
    shelf = Shelf()
    log = log_to(loop, shelf, most=1000)

    def go_on() -> None:
        log.verdict(decision())
        loop.call_soon(go_on)

    loop.call_soon(go_on)
    run_until_written(loop, shelf, 2000)
    lost = log.lost
    log.close()
    numbers = [record["seq"] for record in shelf.records]
    (target,) = log.status()["targets"]

    assert 0 == lost
    assert sorted(numbers) == numbers
    # The loop keeps the target's thread from running, so the target may lose some on a busy machine: it says how many.
    assert numbers[-1] == len(numbers) + target["lost"]


def test_whom_to_ask_at_once(loop: Loop) -> None:
    """The denied, before they can end; who came through the mount, while his number is his; of others after."""
    shelf = Shelf()
    log = log_to(loop, shelf)
    denied, monitored, mounted, allowed = (Living() for _ in range(4))
    log.verdict(denial(subject=subject(denied, 1)))
    log.verdict(decision(decided=False, subject=subject(monitored, 2)))
    log.verdict(decision(via="mount", subject=subject(mounted, 3)))
    log.verdict(decision(subject=subject(allowed, 4)))
    asked = [facts.asked for facts in (denied, monitored, mounted, allowed)]
    for facts in (denied, monitored, mounted, allowed):
        facts.told = None
    log.close()

    assert [1, 1, 1, 0] == asked
    assert ["read", "read", "read", "gone"] == [record["subject"]["details"] for record in shelf.records[:4]]


def test_nobody_is_asked_twice(loop: Loop) -> None:
    """A number may be another's by then, and whoever was gone when asked stays so."""
    shelf = Shelf()
    log = log_to(loop, shelf)
    facts = Living()
    facts.told = None
    log.verdict(decision(via="mount", subject=subject(facts)))
    facts.told = DETAILS
    log.close()

    assert 1 == facts.asked
    assert "gone" == shelf.records[0]["subject"]["details"]


def test_the_others_are_asked_as_soon_as_the_loop_rests(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before records are made, since they may end as soon as they have the reply."""
    # A busy machine may take longer than 10 ms to let us look.
    monkeypatch.setattr("fdstorefs.audit.log.PERIOD", 1.0)
    shelf = Shelf()
    log = log_to(loop, shelf)
    first, again, stranger = Living(), Living(), Living()
    log.verdict(decision(subject=subject(first, 1)))
    log.verdict(decision(subject=subject(again, 1)))
    log.verdict(decision(subject=subject(stranger, 2)))
    asked_at_once = [facts.asked for facts in (first, again, stranger)]
    asked_while_queued: list[tuple[int, int]] = []

    def look() -> bool:
        asked_while_queued.append((first.asked + again.asked + stranger.asked, log.queued))
        return False

    loop.when_idle(lambda: True if first.asked + stranger.asked < 2 else look())
    run_until_written(loop, shelf, 3)
    log.close()

    assert [0, 1, 0] == asked_at_once
    assert [(3, 3)] == asked_while_queued
    assert ["read"] * 3 == [record["subject"]["details"] for record in shelf.records[:3]]


def test_a_record_that_cannot_be_made_is_a_loss(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """It is reported, and the next one says that it is missing."""
    shelf = Shelf()
    log = log_to(loop, shelf)

    def break_down() -> tuple[str, ...]:
        raise RuntimeError("no names for these rules")

    log.verdict(decision(1))
    log.verdict(decision(2, rules=break_down))
    log.verdict(decision(3))
    run_until_written(loop, shelf, 2)
    log.close()

    assert [1, 3, 4] == shelf.seqs
    assert 1 == log.lost
    assert "no names for these rules" in caplog.text
    check(shelf)


def test_a_sink_out_of_order_keeps_its_lines(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again and again, reported once, and reported when it works again; nothing is lost."""
    monkeypatch.setattr(outlet, "FIRST_RETRY", 0.001)
    shelf = Shelf(fail, lambda _lines: Taken(2, FULL), fail)
    log = log_to(loop, shelf)
    for number in range(5):
        log.verdict(decision(number))
    run_until_written(loop, shelf, 5)
    log.close()

    assert [1, 2, 3, 4, 5, 6] == shelf.seqs
    assert 1 == caplog.text.count("cannot be written to shelf:0")
    assert 1 == caplog.text.count("is written to shelf:0 again, 0 records lost")
    check(shelf)


def test_what_a_sink_loses_is_told_when_it_works_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, which, and why; the other sink has them all, and neither was kept waiting."""
    monkeypatch.setattr(outlet, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(outlet, "MOST_WAITING", 4000)
    sound = Shelf()

    def fail_for_long(lines: Sequence[bytes]) -> Taken:
        return Taken(len(lines)) if len(sound.records) >= 20 else Taken(0, FULL)

    broken = Shelf(*[fail_for_long] * 100)
    log = log_to(loop, broken, sound)
    for number in range(20):
        log.verdict(decision(number))
        if number % 4 == 3:
            run_until_written(loop, sound, number + 1)
    run_until_written(loop, sound, 21)
    lost = log.status()["targets"][0]["lost"]
    log.close()

    told = next(record for record in broken.records if record["type"] == "audit-lost")
    assert ("shelf:0", lost, lost) == (told["target"], told["lost"], told["last_seq"] - told["first_seq"] + 1)
    assert "no space" in told["cause"]
    assert not set(broken.seqs) & set(range(told["first_seq"], told["last_seq"] + 1))
    assert list(range(1, 23)) == sound.seqs
    check(sound)


LARGE = EntryMark("\udc80\x01" * 2000)
"""Of some 24 KB in a record."""


def test_the_largest_records_are_not_lost_to_a_sink_that_works(loop: Loop) -> None:
    """Many at once are made as fast as it takes them, be it slower than they come."""
    written = threading.Event()

    def slow(lines: Sequence[bytes]) -> Taken:
        written.wait(0.02)
        return Taken(len(lines))

    shelf = Shelf(*[slow] * 20)
    log = log_to(loop, shelf, most=2000)
    for number in range(800):
        log.verdict(denial(number, entry=LARGE))
    run_until_written(loop, shelf, 800)

    assert (0, 0) == (log.lost, log.status()["targets"][0]["lost"])
    assert list(range(1, 801)) == shelf.seqs


def test_the_largest_records_are_not_lost_at_the_end(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written as they are made."""
    monkeypatch.setattr(outlet, "LAST_WRITE_SECONDS", PATIENCE)
    shelf = Shelf()
    log = log_to(loop, shelf)
    for number in range(400):
        log.verdict(denial(number, entry=LARGE))
    lost = log.close(patience=2 * PATIENCE)

    assert 0 == lost
    assert list(range(1, 402)) == shelf.seqs


def test_a_full_sink_that_hangs_is_waited_for_no_longer(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one gets its records after a while."""
    monkeypatch.setattr(outlet, "HANGING_SECONDS", 0.01)
    release = threading.Event()
    hanging, sound = Shelf(lambda lines: Taken(len(lines) * release.wait(PATIENCE))), Shelf()
    log = log_to(loop, hanging, sound)
    for number in range(400):
        log.verdict(denial(number, entry=LARGE))
    run_until_written(loop, sound, 400)
    release.set()

    assert list(range(1, 401)) == sound.seqs
    assert log.status()["targets"][0]["lost"] > 0


def test_a_sink_that_hangs_holds_up_nothing(loop: Loop) -> None:
    """Neither the other sink nor the end, which waits no longer than it is told to."""
    release = threading.Event()
    hanging, sound = Shelf(lambda lines: Taken(len(lines) * release.wait(PATIENCE))), Shelf()
    log = log_to(loop, hanging, sound)
    log.verdict(decision(1))
    run_until_written(loop, sound, 1)
    log.verdict(decision(2))
    lost = log.close(patience=1)
    release.set()

    assert [1, 2, 3] == sound.seqs
    assert 3 == lost


def test_a_sink_that_breaks_down_in_an_unforeseen_way(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Is out of order like any other, and its traceback is told."""
    monkeypatch.setattr(outlet, "FIRST_RETRY", 0.001)
    shelf = Shelf(lambda _lines: 1 / 0)  # type: ignore[arg-type, return-value]
    log = log_to(loop, shelf)
    log.verdict(decision())
    run_until_written(loop, shelf, 1)
    log.close()

    assert [1, 2] == shelf.seqs
    assert "ZeroDivisionError" in caplog.text


def test_a_file_is_synced_some_time_after_a_write(loop: Loop) -> None:
    """Once for all that was written meanwhile, and not again while nothing is."""
    shelf = Shelf()
    shelf_sync = shelf.sync

    def sync() -> OSError | None:
        loop.post(loop.stop)
        return shelf_sync()

    shelf.sync = sync  # type: ignore[method-assign]
    log = log_to(loop, shelf, sync_after=0.001)
    log.verdict(decision())
    loop.run()
    idle = log.status()["targets"][0]["waiting"], loop._when_idle

    assert 1 == shelf.syncs
    assert [1] == shelf.seqs
    assert (0, 0) == (idle[0], len(idle[1]))


def test_an_empty_log_asks_nothing_of_the_loop(loop: Loop) -> None:
    """No timer and no idle work is left once everything is written."""
    shelf = Shelf()
    log = log_to(loop, shelf)
    log.verdict(decision())
    run_until_written(loop, shelf, 1)
    timers = [timer for _, _, timer in loop._timers if not timer.cancelled]

    assert 1 == len(timers)  # the test's own
    assert not loop._when_idle


def test_without_sinks_nothing_is_taken(loop: Loop) -> None:
    """And nothing costs anything."""
    log = log_to(loop)
    log.verdict(denial())

    assert (False, 0, 0) == (log.enabled, log.queued, log.close())


@pytest.mark.parametrize("fields", [{}, {"hooks": None}, {"hooks": (), "colour": "red"}])
def test_an_event_has_the_fields_that_it_is_said_to_have(loop: Loop, fields: dict[str, Any]) -> None:
    """Anything else is a mistake of ours, and shows at once."""
    with pytest.raises(ValueError, match="attach"):
        log_to(loop, Shelf()).event(Event.ATTACH, **fields)


def test_how_it_stands(loop: Loop) -> None:
    """Counts for the log and for each target."""
    shelf = Shelf()
    log = log_to(loop, shelf)
    log.verdict(decision())
    before = log.status()
    log.close()

    target = {"target": "shelf:0", "written": 0, "waiting": 0, "lost": 0, "error": None}
    assert {"queued": 1, "written": 0, "lost": 0, "targets": [target]} == before
    assert {"queued": 0, "written": 2, "lost": 0, "targets": [target | {"written": 2}]} == log.status()
