"""Lanes stand still when they are frozen, tell what waits in them, and go on, or with what lingers only."""

import errno
import os
import select
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from fdstorefs.server.fuse import lane
from fdstorefs.server.fuse.call import Call, Payload
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.transfer import Read, Write
from tests.unit.server.fuse.piped_lanes import PipedLanes

ROOM = 4096 * 16


class Held(Read):
    """A read that is held up until it is let go."""

    let_go: threading.Event

    def attempt(self) -> bytes | bytearray:
        """Wait, as for a lock, and then read."""
        self.let_go.wait(20)
        return super().attempt()


class Bench(PipedLanes):
    """Calls that read and write the pipe. What is noted is told in order."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[object] = []

    def note(self, *what: object) -> None:
        """Note something, and stop the loop."""
        self.noted.append(what)
        self.loop.stop()

    def _answer(self, call: Call, code: int, payload: Payload) -> None:
        self.note(call.unique, code, bytes(payload))

    def _exhausted(self) -> None:
        """Nobody polls."""

    def _call(self, unique: int, moved: int = 0) -> Call:
        return Call(unique, Caller(0, 0, 0), self._answer, request=b"request %d" % unique, moved=moved)

    def read(self, unique: int) -> None:
        """Read a byte."""
        self.lanes.read(Read(self.stored[self.reader], self._call(unique), self._exhausted, 1))

    def held(self, unique: int) -> threading.Event:
        """Read a byte, and hold a thread up with it until the event is set."""
        held = Held(self.stored[self.reader], self._call(unique), self._exhausted, 1)
        held.let_go = threading.Event()
        self.lanes.read(held)
        return held.let_go

    def write(self, unique: int, data: bytes, moved: int = 0) -> None:
        """Write."""
        call = self._call(unique, moved)
        self.lanes.write(Write(self.stored[self.writer], call, self._exhausted, data))

    def settle(self, seconds: float = 0.01) -> None:
        """Serve what there is to serve for a moment."""
        self.loop.call_at(time.monotonic() + seconds, self.loop.stop)
        self.loop.run()

    def until(self, count: int) -> list[object]:
        """Run until so much is noted."""
        while len(self.noted) < count:
            self.loop.run()
        return self.noted

    def freeze(self) -> None:
        """Freeze, until it is done."""
        self.lanes.freeze(lambda: self.note("still"))
        while ("still",) not in self.noted:
            self.loop.run()
        self.noted.remove(("still",))

    def until_active(self, count: int) -> None:
        """Until so many threads are at it."""
        while len(self.lanes.active) != count:
            self.settle(0.001)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One bench."""
    made = Bench()
    yield made
    made.close()


def test_a_frozen_lane_begins_nothing(bench: Bench) -> None:
    """Whatever comes; thawed it goes on, in turn."""
    for unique in (1, 2):
        bench.read(unique)
    bench.freeze()
    os.write(bench.writer, b"ab")
    bench.settle()
    before = list(bench.noted)
    bench.lanes.thaw()

    assert ([], [(1, 0, b"a"), (2, 0, b"b")]) == (before, bench.until(2))


def test_what_waits_is_told_in_turn(bench: Bench) -> None:
    """As it came, and how much of it is done."""
    for unique in (1, 2):
        bench.read(unique)
    bench.settle()
    bench.freeze()

    assert [(b"request 1", 0), (b"request 2", 0)] == [*map(tuple, bench.lanes.hand_over())]


def test_a_write_is_told_with_what_is_done(bench: Bench) -> None:
    """All of its data, and how much of that is in the pipe."""
    data = b"w" * (ROOM + 5)
    bench.write(3, data)
    while not select.select([bench.reader], [], [], 0)[0]:
        bench.settle()
    bench.freeze()

    assert [(b"request 3" + data, ROOM)] == [*map(tuple, bench.lanes.hand_over())]


def test_a_write_begins_where_another_server_has_left_it(bench: Bench) -> None:
    """The answer counts what that one has written."""
    bench.write(1, b"done and to do", moved=9)

    assert [(1, 0, struct.pack("=II", 14, 0))] == bench.until(1)
    assert b"to do" == os.read(bench.reader, 99)


def test_nobody_loses_patience_while_another_server_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else both would answer; thawed it begins anew."""
    monkeypatch.setattr(lane, "PATIENCE", 0.02)
    os.write(bench.writer, bytes(ROOM))
    bench.write(1, b"late")
    bench.freeze()
    bench.lanes.hand_over()
    bench.settle(0.05)
    before = list(bench.noted)
    bench.lanes.thaw()

    assert ([], [(1, errno.EINTR, b"")]) == (before, bench.until(1))


def test_freezing_waits_for_threads_for_a_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends is answered before; one that doesn't is told of."""
    monkeypatch.setattr(lane, "GRACE", 20.0)
    os.write(bench.writer, b"ab")
    quick = bench.held(1)
    bench.until_active(1)
    bench.lanes.freeze(lambda: bench.note("still"))
    bench.settle()
    early = list(bench.noted)
    quick.set()

    assert ([], [(1, 0, b"a"), ("still",)]) == (early, bench.until(2))
    assert [] == bench.lanes.active


def test_what_lingers_is_answered_by_whoever_began_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else is, by a server that has left."""
    monkeypatch.setattr(lane, "GRACE", 0.01)
    os.write(bench.writer, b"abc")
    slow = bench.held(1)
    bench.until_active(1)
    bench.read(2)
    bench.freeze()
    told = [each.request for each in bench.lanes.hand_over()]
    bench.lanes.leave(frozenset({1}), None)
    slow.set()
    bench.until(1)
    bench.settle()

    assert ([b"request 2"], [(1, 0, b"a")]) == (told, bench.noted)


@pytest.mark.parametrize("ends_early", [False, True])
def test_what_would_wait_is_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends_early: bool
) -> None:
    """Whether its thread returns before this server has left or after; it is not answered here."""
    monkeypatch.setattr(lane, "GRACE", 0.01)
    slow = bench.held(1)
    bench.until_active(1)
    bench.freeze()
    bench.lanes.hand_over()
    if ends_early:
        slow.set()
        bench.until_active(0)
    bench.lanes.leave(frozenset({1}), lambda unique, moved: bench.note("back", unique, moved))
    slow.set()

    assert [("back", 1, 0)] == bench.until(1)


def test_without_anybody_to_give_it_back_to_it_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it takes."""
    monkeypatch.setattr(lane, "GRACE", 0.01)
    slow = bench.held(1)
    bench.until_active(1)
    bench.freeze()
    bench.lanes.hand_over()
    bench.lanes.leave(frozenset({1}), None)
    slow.set()
    bench.until_active(0)
    os.write(bench.writer, b"late")

    assert [(1, 0, b"l")] == bench.until(1)
