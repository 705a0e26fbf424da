"""What the keeper has is what it was told last, and what it lets go of is closed without waiting."""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.keeper import holding
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.wire import Message, Verb


def told(verb: Verb, numbers: tuple[int, ...] = (), *descriptors: int, short: bool = False) -> Message:
    """A message."""
    return Message(verb, numbers, list(descriptors), {}, short)


def is_open(fd: int) -> bool:
    """Whether it is ours."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def wait_until(predicate: Callable[[], bool]) -> None:
    """Give threads time for it, not for ever."""
    until = time.monotonic() + 10
    while not predicate():
        assert time.monotonic() < until
        time.sleep(0.001)


def await_the_end(reading: int) -> None:
    """Until every other end of the pipe is closed."""
    assert select.select([reading], [], [], 10)[0]
    assert b"" == os.read(reading, 1)
    os.close(reading)


def test_the_latest_journal_is_held() -> None:
    """The one before is closed."""
    held, (old, new) = Holding(), (os.memfd_create("old"), os.memfd_create("new"))
    assert held.take(told(Verb.JOURNAL, (), old))
    assert held.take(told(Verb.JOURNAL, (), new))

    assert (new, False) == (held.journal, is_open(old))
    os.close(new)


@pytest.mark.parametrize("verb", [Verb.DROP, Verb.DROP_SLOW])
def test_what_is_dropped_is_closed(verb: Verb) -> None:
    """And numbers that nobody knows are nothing."""
    held, (reading, writing) = Holding(), os.pipe()
    held.take(told(Verb.KEEP, (7,), writing))
    held.take(told(verb, (7, 8)))

    assert {} == held.files
    await_the_end(reading)


def test_a_number_that_comes_again_replaces() -> None:
    """As after a drop."""
    held, (reading, writing), new = Holding(), os.pipe(), os.memfd_create("new")
    held.take(told(Verb.KEEP, (7,), writing))
    held.take(told(Verb.KEEP, (7,), new))

    assert {7: new} == held.files
    await_the_end(reading)
    os.close(new)


def test_what_did_not_arrive_is_noticed() -> None:
    """Of two, one is there."""
    held, there = Holding(), os.memfd_create("there")

    assert not held.take(told(Verb.KEEP, (1, 2), there, short=True))
    assert {1: there} == held.files
    os.close(there)


def test_closes_that_block_hold_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not each other, and not what is quick."""
    stuck, closed = threading.Event(), list[int]()

    def close(fd: int) -> None:
        if fd < 0:
            stuck.wait(10)
        closed.append(fd)

    monkeypatch.setattr(holding, "_close", close)
    monkeypatch.setattr(holding, "_MOST_CLOSING", 2)
    held = Holding()
    held.files = {number: -number for number in range(1, 4)} | {9: 9}
    held.take(told(Verb.DROP_SLOW, (1, 2, 3)))
    held.take(told(Verb.DROP, (9,)))

    assert [9] == closed
    assert {-1, -2, -3} == held._closers.unclosed
    stuck.set()
    wait_until(lambda: {-1, -2, -3, 9} == set(closed))
    wait_until(lambda: not held._closers.unclosed)


class Slow:
    """A close that takes until it may end, of what the test closes itself; `begun` has what somebody tries to close."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.may = threading.Event()

    def __call__(self, fd: int) -> None:
        self.begun.append(fd)
        assert self.may.wait(10)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """In place of close(2)."""
    made = Slow()
    monkeypatch.setattr(holding, "_close", made)
    yield made
    made.may.set()


def closing(held: Holding) -> tuple[int, ...]:
    """What a new server has to close."""
    return held.held(-1, keeper=1, restarts=0, died=0.0, cause="", is_looked_after=False).closing


def test_a_child_has_to_close_what_somebody_was_closing(slow: Slow) -> None:
    """A fork in the middle of it leaves a descriptor in the child, where no thread is that goes on with it."""
    held, descriptors = Holding(), [os.memfd_create(f"{number}") for number in range(3)]
    for number, descriptor in enumerate(descriptors):
        held.take(told(Verb.KEEP, (number,), descriptor))
    held.take(told(Verb.DROP_SLOW, (0, 1)))
    wait_until(lambda: sorted(slow.begun) == descriptors[:2])

    assert tuple(descriptors[:2]) == closing(held)
    os.close(descriptors[0])
    assert (descriptors[1],) == closing(held)
    for descriptor in descriptors[1:]:
        os.close(descriptor)


def test_a_number_that_was_free_and_is_used_again_is_not_closed(slow: Slow) -> None:
    """The thread that has closed what had it before may not have said so yet."""
    held, old, other = Holding(), os.memfd_create("old"), os.memfd_create("other")
    for number, descriptor in enumerate((old, other)):
        held.take(told(Verb.KEEP, (number,), descriptor))
    held.take(told(Verb.DROP_SLOW, (0, 1)))
    wait_until(lambda: len(slow.begun) == 2)
    held.take(told(Verb.KEEP, (2,), old))

    assert (other,) == closing(held)
    for descriptor in (old, other):
        os.close(descriptor)


def test_who_is_to_hold_nothing_does_not_wait(slow: Slow) -> None:
    """Where a file's close never comes to an end, a spare waits for its turn nevertheless."""
    held, (reading, writing), stuck = Holding(), os.pipe(), os.memfd_create("stuck")
    for number, descriptor in enumerate((writing, stuck)):
        held.take(told(Verb.KEEP, (number,), descriptor))
    held.take(told(Verb.DROP_SLOW, (1,)))
    wait_until(lambda: slow.begun == [stuck])
    held.close()

    wait_until(lambda: sorted([stuck, writing, stuck]) == sorted(slow.begun))
    for descriptor in (reading, writing, stuck):
        os.close(descriptor)
