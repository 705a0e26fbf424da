"""If the server is killed, the next one goes on with the next number, and says what may be lost."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs.audit import outlet
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.memory import RECORD, SETTLED, Memory
from fdstorefs.audit.opening import begin, note_restart, open_log
from fdstorefs.audit.options import AuditOptions
from fdstorefs.audit.outlet import Feed, Line, Outlet
from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import Event
from fdstorefs.audit.sinks.file import FileSink
from fdstorefs.audit.target import Target
from fdstorefs.audit.verify import verify
from fdstorefs.server.loop import Loop
from tests.unit.audit.decisions import decision
from tests.unit.audit.schema_check import faults


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that stops by itself should a test forget to."""
    loop = Loop()
    loop.call_at(time.monotonic() + 20, loop.stop)
    yield loop
    loop.close()


@pytest.fixture
def options(tmp_path: Path) -> AuditOptions:
    """A log in a file."""
    return AuditOptions(targets=(Target("file", str(tmp_path / "log")),))


def records_in(options: AuditOptions) -> list[Record]:
    """What is in the file."""
    return [json.loads(line) for line in Path(options.targets[0].path).read_text().splitlines()]


def restart(log: AuditLog, options: AuditOptions, memory: Memory, cause: str | None = None) -> None:
    """Put on record that a server of two entries goes on."""
    note_restart(
        log,
        options,
        memory,
        away=1,
        entries=2,
        descriptors=2,
        enforcement="daemon",
        why="it was told so",
        cause=cause,
    )


def run_until(loop: Loop, memory: Memory, settled: int, options: AuditOptions, written: int) -> None:
    """Run the loop until it knows of so many that they are where they belong, and until so many are there."""

    def look() -> None:
        if (
            memory.numbers[SETTLED] >= settled
            and Path(options.targets[0].path).read_text().count("\n") >= written
        ):
            loop.stop()
        else:
            loop.call_at(time.monotonic() + 0.001, look)

    look()
    loop.run()


def test_numbers_go_on(loop: Loop, options: AuditOptions) -> None:
    """The same run; the records that were in the dead server's queue are accounted for."""
    first = Memory.new()
    log = open_log(options, "/x", loop, memory=first)
    begin(log, options, "daemon", "it was told so")
    for number in range(3):
        log.verdict(decision(number))
    # What was handed over is known to be written once the next are handed over.
    loop.call_at(time.monotonic() + 0.1, lambda: log.event(Event.STOP, written=0, lost=0))
    run_until(loop, first, 4, options, 5)
    log.verdict(decision(5))
    log.verdict(decision(6))

    second = Memory.again(first.facts, first.numbers)
    after = open_log(options, "/x", loop, memory=second)
    restart(after, options, second, "killed by signal 9")
    after.close()
    records = records_in(options)
    assert [1, 2, 3, 4, 5, 8, 9] == [record["seq"] for record in records]
    assert {first.run} == {record["run"] for record in records}
    assert (5, 7) == (records[-2]["first_seq"], records[-2]["last_seq"])
    assert [[]] * 7 == [faults(record) for record in records]
    (run,) = verify([records])
    assert (2, [], []) == (run.lost, run.missing, run.repeated)


def test_nothing_under_way_is_nothing_lost(loop: Loop, options: AuditOptions) -> None:
    """Then the restart names no numbers."""
    memory = Memory.new()
    memory.numbers[RECORD] = memory.numbers[SETTLED] = 41
    after = open_log(options, "/x", loop, memory=Memory.again(memory.facts, memory.numbers))
    restart(after, options, memory)
    after.close()

    told, _ = records_in(options)
    assert ("restart", 42, False) == (told["type"], told["seq"], "first_seq" in told)
    assert ("daemon", "it was told so") == (told["enforcement"], told["enforcement_reason"])


def test_what_a_target_lost_is_under_way_until_that_is_told(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise nobody would ever account for it."""
    monkeypatch.setattr(outlet, "MOST_WAITING", 10)
    target = Outlet(Feed("file:/x", FileSink("/nowhere/x")), loop, lambda _loss: None)
    target.offer([Line(3, b"longer than that\n"), Line(4, b"short\n")])
    assert 2 == target.settled(4)

    other = Outlet(Feed("file:/x", FileSink("/nowhere/x")), loop, lambda _loss: None)
    other.offer([Line(3, b"short\n"), Line(4, b"longer than that\n"), Line(5, b"x\n")])
    assert 2 == other.settled(5)


def test_decisions_are_not_called_the_same_twice() -> None:
    """Neither are their ids, which come from a key that goes on, too."""
    first = Memory.new()
    numbers = first.decisions()
    before = [next(numbers) for _ in range(3)]
    second = Memory.again(json.loads(json.dumps(first.facts)), first.numbers)

    assert ([1, 2, 3], 4) == (before, next(second.decisions()))
    assert (first.run, first.key, True) == (second.run, second.key, second.goes_on)


def test_a_run_that_nobody_remembers_is_new() -> None:
    """What a journal lost is not made up."""
    memory = Memory.again({}, [0, 0, 0])

    assert not memory.goes_on
