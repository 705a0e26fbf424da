"""Lanes: one attempt at a time on a stored file, first come first served, and everyone gets an answer."""

import errno
import os
import struct
from collections.abc import Iterator

import pytest

from fdstorefs.core.node import OpenFile
from fdstorefs.server.fuse import lane
from fdstorefs.server.fuse.call import Call, Payload
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.transfer import Read, Write
from tests.unit.server.fuse.piped_lanes import PipedLanes


class Bench(PipedLanes):
    """Calls whose answers are noted in the order they come."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, int, bytes]] = []
        self.exhausted = 0

    def _answer(self, call: Call, code: int, payload: Payload) -> None:
        self.answers.append((call.unique, code, bytes(payload)))
        self.loop.stop()

    def _exhausted(self) -> None:
        self.exhausted += 1

    def call(self, unique: int, *, nonblocking: bool = False) -> Call:
        """A call with this number."""
        return Call(unique, Caller(0, 0, 0), self._answer, nonblocking=nonblocking)

    def read(self, unique: int, size: int = 99, *, nonblocking: bool = False) -> Call:
        """Begin a read."""
        call = self.call(unique, nonblocking=nonblocking)
        self.lanes.read(Read(self.stored[self.reader], call, self._exhausted, size))
        return call

    def write(self, unique: int, data: bytes, *, nonblocking: bool = False) -> Call:
        """Begin a write."""
        call = self.call(unique, nonblocking=nonblocking)
        self.lanes.write(Write(self.stored[self.writer], call, self._exhausted, data))
        return call

    def until(self, count: int) -> list[tuple[int, int, bytes]]:
        """Run until so many answers have come."""
        while len(self.answers) < count:
            self.loop.run()
        self.settle()
        return self.answers

    def settle(self) -> None:
        """Serve what is ready now."""
        for _ in range(3):
            self.loop.call_soon(self.loop.stop)
            self.loop.run()

    def until_it_waits(self) -> None:
        """Run until somebody waits for readiness."""
        while not len(self.readiness):
            self.settle()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One bench."""
    made = Bench()
    yield made
    made.close()


def count(number: int) -> bytes:
    """The payload of an answer to WRITE."""
    return struct.pack("=II", number, 0)


def test_who_came_first_is_served_first(bench: Bench) -> None:
    """However much data comes at once."""
    for unique in range(5):
        bench.read(unique, 1)
    os.write(bench.writer, b"abcde")

    assert [(n, 0, b"abcde"[n : n + 1]) for n in range(5)] == bench.until(5)


def test_who_waits_costs_one_registration_and_leaves_none(bench: Bench) -> None:
    """Any number of readers, and nothing is left once they are served."""
    for unique in range(50):
        bench.read(unique, 1)
    bench.until_it_waits()
    waiting = (len(bench.readiness), len(bench.lanes))
    os.write(bench.writer, bytes(50))
    bench.until(50)

    assert ((1, 1), (0, 0)) == (waiting, (len(bench.readiness), len(bench.lanes)))
    assert {1} == {file.holds for file in bench.stored.values()}


def test_who_does_not_want_to_wait_is_turned_away(bench: Bench) -> None:
    """Also behind others who do; an edge-triggered poller must be told."""
    bench.read(1)
    bench.until_it_waits()
    bench.read(2, nonblocking=True)

    assert ([(2, errno.EAGAIN, b"")], 1) == (bench.until(1), bench.exhausted)


def test_an_interrupted_call_is_let_go_and_takes_nothing(bench: Bench) -> None:
    """The next one gets what comes."""
    first = bench.read(1)
    bench.read(2)
    bench.until_it_waits()
    first.interrupt()
    os.write(bench.writer, b"data")

    assert [(1, errno.EINTR, b""), (2, 0, b"data")] == bench.until(2)


def test_a_write_goes_on_until_all_is_written(bench: Bench) -> None:
    """While somebody reads; it is answered once, with the whole count."""
    bench.write(1, bytes(200_000))
    got = 0
    while got < 200_000:
        bench.settle()
        bench.read(2, 100_000)
        bench.until(len(bench.answers) + 1)
        got = sum(len(payload) for unique, _, payload in bench.answers if unique == 2)
    while not any(unique == 1 for unique, _, _ in bench.answers):
        bench.settle()

    assert (1, 0, count(200_000)) in bench.answers


def test_a_write_that_does_not_want_to_wait_writes_what_fits(bench: Bench) -> None:
    """And says how much."""
    bench.write(1, bytes(200_000), nonblocking=True)
    (unique, code, payload), *_ = bench.until(1)
    fitted, _ = struct.unpack("=II", payload)

    assert (1, 0, True) == (unique, code, 0 < fitted < 200_000)


def test_a_write_that_is_interrupted_half_way_tells_how_far_it_came(bench: Bench) -> None:
    """A count, not EINTR; EINTR only if nothing was written."""
    first = bench.write(1, bytes(200_000))
    bench.write(2, b"x")
    bench.until_it_waits()
    first.interrupt()
    bench.until(1)
    bench.until_it_waits()
    written, _ = struct.unpack("=II", bench.answers[0][2])

    assert (0, True) == (bench.answers[0][1], 0 < written < 200_000)


def test_a_write_waits_only_so_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """For it keeps the inode locked in the kernel."""
    bench.write(1, bytes(200_000), nonblocking=True)
    bench.until(1)
    monkeypatch.setattr(lane, "PATIENCE", 0.01)
    bench.write(2, b"x" * 5000)

    assert (2, errno.EINTR, b"") == bench.until(2)[1]


def test_an_attempt_that_is_stuck_does_not_hold_its_caller(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment of grace he is let go; the thread keeps the file until it comes back."""
    monkeypatch.setattr(lane, "GRACE", 0.01)
    blocker, release = os.pipe()
    call = bench.call(1)
    stuck = Stuck(bench.stored[bench.reader], call, blocker)
    bench.lanes.read(stuck)
    call.interrupt()
    answers = list(bench.until(1))
    held = bench.stored[bench.reader].holds
    os.write(release, b"x")
    bench.read(2, nonblocking=True)
    bench.until(2)
    os.close(blocker)
    os.close(release)

    assert ([(1, errno.EINTR, b"")], 2) == (answers, held)
    assert 1 == bench.stored[bench.reader].holds


class Stuck(Read):
    """A read whose attempt waits for a byte in another pipe."""

    def __init__(self, file: OpenFile, call: Call, blocker: int) -> None:
        super().__init__(file, call, lambda: None, 1)
        self._blocker = blocker

    def attempt(self) -> bytes:
        """Wait."""
        return os.read(self._blocker, 1)


def test_nothing_is_read_for_a_call_that_was_answered(bench: Bench) -> None:
    """As when the mount is gone: what comes then stays where it is."""
    bench.read(1).fail(errno.ENOTCONN)
    bench.until(1)
    gone = bench.read(2)
    bench.until_it_waits()
    gone.fail(errno.ENOTCONN)
    os.write(bench.writer, b"data")
    bench.settle()

    assert b"data" == os.read(bench.reader, 99)
