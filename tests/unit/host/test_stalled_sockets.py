"""A socket that another of its users keeps locked in the kernel doesn't hold up the store."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from fdstorefs.host import bounded_call
from fdstorefs.host.description import describe
from fdstorefs.host.file_kind import classify
from fdstorefs.host.recursion import RecursionGuard
from tests.unit.host.stalled_memory import StalledMemory
from tests.unit.host.waiting import wait_until


@pytest.fixture
def memory() -> Iterator[StalledMemory]:
    """Memory that stalls whoever touches it first, until the test is over."""
    try:
        stalled = StalledMemory()
    except OSError as error:
        pytest.skip(f"needs userfaultfd for faults in the kernel: {error}")
    yield stalled
    stalled.release()


def test_describe_gives_up_on_a_locked_socket(memory: StalledMemory) -> None:
    """A sender stalled in the middle of a page holds the lock that getsockname(2) needs."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        threading.Thread(target=client.send, args=(memory.page,), daemon=True).start()
        memory.wait_for_fault()
        started = time.monotonic()
        description = describe(client.fileno(), classify(client.fileno()))
        waited = time.monotonic() - started
        memory.release()  # the client's end can't be closed before

    assert description == "tcp (locked by another user of it)"
    assert waited < 5


def test_looking_into_a_locked_queue_is_given_up(memory: StalledMemory) -> None:
    """A receiver stalled in the middle of a message keeps even MSG_DONTWAIT waiting: accepted unseen."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = threading.Thread(target=ours.recv_into, args=(memory.page,), daemon=True)
        socket.send_fds(theirs, [b"x"], [theirs.fileno()])
        reader.start()
        memory.wait_for_fault()

        RecursionGuard(None, os.getpid()).check(ours.fileno(), classify(ours.fileno()))
        memory.release()
        reader.join()


def test_an_answer_comes_back_and_so_does_an_error() -> None:
    """What the question returns or raises arrives unchanged."""
    fd = os.eventfd(0)

    assert bounded_call.ask_about(fd, lambda copy: copy != fd, 10)
    with pytest.raises(ZeroDivisionError):
        bounded_call.ask_about(fd, lambda copy: 1 // 0, 10)
    os.close(fd)


def test_late_questions_leave_no_descriptor_behind() -> None:
    """The copy that a late question holds is closed when it is done at last."""
    fd = os.eventfd(0)
    release, copies = threading.Event(), []

    def late(copy: int) -> None:
        copies.append(copy)
        release.wait()

    with pytest.raises(TimeoutError):
        bounded_call.ask_about(fd, late, 0.01)
    release.set()
    os.close(fd)

    wait_until(lambda: not os.path.exists(f"/proc/self/fd/{copies[0]}"))


def test_with_too_many_stuck_the_next_is_refused_at_once() -> None:
    """Sixteen sockets without an answer are enough: about the seventeenth nothing is asked."""
    release = threading.Event()
    sockets = [socket.socket() for _ in range(17)]
    for stuck in sockets[:16]:
        with pytest.raises(TimeoutError):
            bounded_call.ask_about(stuck.fileno(), lambda copy: release.wait(), 0.001)

    assert not _answers(sockets[16])
    release.set()
    wait_until(lambda: _answers(sockets[16]))
    for each in sockets:
        each.close()


def test_a_stuck_socket_is_not_asked_again() -> None:
    """One socket takes one thread at most; when it answers at last, it is asked again."""
    release = threading.Event()
    with socket.socket() as stuck, socket.socket() as other:
        with pytest.raises(TimeoutError):
            bounded_call.ask_about(stuck.fileno(), lambda copy: release.wait(), 0.001)

        assert not _answers(stuck)
        assert _answers(other)
        release.set()
        wait_until(lambda: _answers(stuck))


def _answers(asked: socket.socket) -> bool:
    try:
        return bounded_call.ask_about(asked.fileno(), lambda copy: True, 10)
    except TimeoutError:
        return False
