"""What the keeper has is what it was told last, and what it lets go of is closed without waiting."""

import os
import select
import threading
import time
from collections.abc import Callable

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
    """Not each other, and not what is quick; a child of a fork is told of those that wait."""
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
    wait_until(lambda: (-3,) == tuple(held._closers.waiting))
    stuck.set()
    wait_until(lambda: {-1, -2, -3, 9} == set(closed))
