"""Many wait for one descriptor; each is called once, for its own events."""

import os
import select
from collections.abc import Iterator

import pytest

from fdstorefs.server.fuse.readiness import Readiness, ready_now
from fdstorefs.server.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that each test turns by hand."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read and the end to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def turn(loop: Loop) -> None:
    """Serve what is ready now."""
    loop.call_soon(loop.stop)
    loop.run()


def test_all_who_wait_are_called_once(loop: Loop, pipe: tuple[int, int]) -> None:
    """And nothing stays registered after it."""
    readiness = Readiness(loop)
    called: list[int] = []
    for number in range(3):
        readiness.watch(pipe[0], select.POLLIN, lambda number=number: called.append(number))
    os.write(pipe[1], b"x")
    turn(loop)
    turn(loop)

    assert ([0, 1, 2], 0) == (called, len(readiness))


def test_who_gave_up_is_not_called(loop: Loop, pipe: tuple[int, int]) -> None:
    """Also when another one's call makes it give up in the same moment."""
    readiness = Readiness(loop)
    called: list[str] = []

    def first() -> None:
        called.append("first")
        second.cancel()

    readiness.watch(pipe[0], select.POLLIN, first)
    second = readiness.watch(pipe[0], select.POLLIN, lambda: called.append("second"))
    readiness.watch(pipe[0], select.POLLIN, lambda: called.append("gave up")).cancel()
    os.write(pipe[1], b"x")
    turn(loop)

    assert ["first"] == called


def test_only_the_event_asked_for_counts(loop: Loop, pipe: tuple[int, int]) -> None:
    """Others wait on."""
    readiness = Readiness(loop)
    called: list[str] = []
    readiness.watch(pipe[0], select.POLLPRI, lambda: called.append("urgent"))
    readiness.watch(pipe[0], select.POLLIN, lambda: called.append("read"))
    os.write(pipe[1], b"x")
    turn(loop)

    assert (["read"], 1) == (called, len(readiness))


def test_a_hang_up_concerns_all(loop: Loop) -> None:
    """Whatever they wait for."""
    readiness = Readiness(loop)
    reader, writer = os.pipe()
    called: list[str] = []
    readiness.watch(reader, select.POLLPRI, lambda: called.append("urgent"))
    os.close(writer)
    turn(loop)
    os.close(reader)

    assert ["urgent"] == called


def test_a_file_without_readiness_is_never_waited_for(loop: Loop) -> None:
    """Epoll refuses it; nobody is called and nothing is kept."""
    readiness = Readiness(loop)
    file = os.memfd_create("test")
    readiness.watch(file, select.POLLPRI, lambda: pytest.fail("called")).cancel()
    turn(loop)
    os.close(file)

    assert 0 == len(readiness)


def test_ready_now_asks_and_does_not_wait(pipe: tuple[int, int]) -> None:
    """Only what was asked for, and what cannot be asked away."""
    before = ready_now(pipe[0], select.POLLIN | select.POLLOUT)
    os.write(pipe[1], b"x")

    assert (0, select.POLLIN) == (before, ready_now(pipe[0], select.POLLIN | select.POLLOUT))
