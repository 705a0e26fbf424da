"""Keepers are forked by a process that does nothing else, and outlive it."""

import errno
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from fdstorefs.containers import nursery as nursing
from fdstorefs.containers.nursery import Nursery
from tests.mount.waiting import wait_for

_PATIENCE = 10


def tell(message: bytes, descriptors: tuple[int, ...]) -> NoReturn:
    """Be a child that says what it was told, and who it is, until somebody writes to it."""
    out, end = descriptors
    os.write(out, message + b" %d %d" % (os.getpid(), os.getppid()))
    os.read(end, 1)
    os._exit(0)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """One whose children `tell`."""
    made = Nursery(tell)
    yield made
    made.close()


class Child:
    """One that has been forked."""

    def __init__(self, nursery: Nursery) -> None:
        out, its_out = os.pipe()
        its_end, self._end = os.pipe()
        self.pid, self.pidfd = nursery.fork(b"words", (its_out, its_end))
        os.close(its_out)
        os.close(its_end)
        self.said = os.read(out, 100).decode().split()
        os.close(out)

    def end(self) -> bool:
        """Let it end; whether it has."""
        os.close(self._end)
        return is_over(self.pidfd)


def is_over(pidfd: int) -> bool:
    """Whether a process ends soon."""
    try:
        return bool(select.select([pidfd], [], [], _PATIENCE)[0])
    finally:
        os.close(pidfd)


def test_a_child_has_what_it_was_given(nursery: Nursery) -> None:
    """The message, the descriptors; and it is who we are told that it is."""
    child = Child(nursery)

    assert ["words", str(child.pid), str(nursery.pid)] == child.said
    assert child.end()


def test_children_that_end_leave_nothing(nursery: Nursery) -> None:
    """Nobody has to wait for them."""
    child = Child(nursery)
    child.end()

    # Its end is told a moment before it is gone.
    wait_for(lambda: not os.path.exists(f"/proc/{child.pid}"))
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_one_that_was_killed_is_replaced(nursery: Nursery) -> None:
    """Whoever asks next gets a child nevertheless."""
    former = nursery.pid
    os.kill(former, signal.SIGKILL)

    child = Child(nursery)

    assert child.said[2] == str(nursery.pid) != str(former)
    assert child.end()


def test_children_go_on_without_it(nursery: Nursery) -> None:
    """A keeper is nobody's but its server's."""
    child = Child(nursery)
    os.kill(nursery.pid, signal.SIGKILL)

    another = Child(nursery)

    assert not select.select([child.pidfd], [], [], 0)[0]
    assert child.end()
    assert another.end()


def test_it_ends_with_who_has_it() -> None:
    """As soon as the service is gone."""
    nursery = Nursery(tell)
    pidfd = os.pidfd_open(nursery.pid)

    nursery.close()

    assert is_over(pidfd)


def test_no_child_that_is_not_to_be_had(nursery: Nursery) -> None:
    """A descriptor that is closed is the caller's mistake, and costs nothing but the call."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        nursery.fork(b"words", (10_000,))

    assert Child(nursery).end()


def test_one_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks it is told so, and whoever asks next gets a child."""
    with monkeypatch.context() as impatience:
        impatience.setattr(nursing, "PATIENCE_SECONDS", 0.1)
        impatient = Nursery(tell)
    try:
        former = impatient.pid
        os.kill(former, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            impatient.fork(b"words", ())

        assert Child(impatient).end()
        assert former != impatient.pid
    finally:
        impatient.close()


def test_a_child_that_is_over_at_once_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asked for it sees its end as that of any other; and nothing is left of it, nor of one that ends then."""
    real, victims = os.pidfd_open, tmp_path / "victims"

    def late(pid: int) -> int:
        for each in map(int, victims.read_text().split()):
            os.kill(each or pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, each or pid, os.WEXITED | os.WNOWAIT)
        return real(pid)

    monkeypatch.setattr(os, "pidfd_open", late)
    one, (reader, writer), out = Nursery(tell), os.pipe(), os.open(os.devnull, os.O_WRONLY)
    monkeypatch.undo()
    try:
        former = one.pid
        victims.write_text("")
        before = one.fork(b"words", (out, reader))
        victims.write_text(f"{before.pid} 0")
        over = one.fork(b"words", (out, reader))
        victims.write_text("")

        assert is_over(over.pidfd)
        assert is_over(before.pidfd)
        for pid in (over.pid, before.pid):
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert Child(one).end()
        assert former == one.pid
    finally:
        one.close()
        for each in (reader, writer, out):
            os.close(each)


def test_a_child_that_cannot_be_had_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent for it is closed."""
    real, parent = os.fork, os.getpid()

    def refused() -> int:
        if os.getpid() != parent:
            raise BlockingIOError(errno.EAGAIN, "no")
        return real()

    monkeypatch.setattr(os, "fork", refused)
    one = Nursery(tell)
    monkeypatch.undo()
    reader, writer = os.pipe()
    try:
        with pytest.raises(BlockingIOError):
            one.fork(b"words", (writer,))
        os.close(writer)

        assert select.select([reader], [], [], _PATIENCE)[0]
    finally:
        os.close(reader)
        one.close()
