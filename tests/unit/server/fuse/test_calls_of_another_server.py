"""A call that another server on the device was to answer is answered once, and no signal for its caller is lost."""

import errno
import struct

import pytest

from fdstorefs.server.fuse.protocol import Opcode
from tests.unit.server.fuse.test_the_tap_answers_everything import Kernel, kernel

__all__ = ["kernel"]


def request(kernel: Kernel, unique: int = 7) -> bytes:
    """A READ on the handle, which that server has read."""
    body = struct.pack("=QQIIQII", kernel.fh, 0, 10, 0, 0, 0, 0)
    return struct.pack("=IIQQIIIHH", 40 + len(body), Opcode.READ, unique, 1, 0, 0, 5, 0, 0) + body


def interrupt(kernel: Kernel, unique: int = 7) -> None:
    """A signal arrives for the caller."""
    kernel.send(Opcode.INTERRUPT, struct.pack("=Q", unique), 8)


@pytest.fixture
def passed(kernel: Kernel) -> list[int]:
    """Signals that are told to the other server, which has one call to answer."""
    told: list[int] = []
    kernel.tap.elsewhere.pass_interrupt = told.append
    kernel.tap.elsewhere.add(request(kernel))
    return told


def test_a_signal_is_passed_on(kernel: Kernel, passed: list[int]) -> None:
    """It is the other server's to answer."""
    interrupt(kernel)

    assert ([7], []) == (passed, kernel.answers())


def test_what_it_has_answered_is_over(kernel: Kernel, passed: list[int]) -> None:
    """The handle is told that it was used; whatever is said again is nothing."""
    for _ in range(2):
        kernel.tap.answered_elsewhere(7)
    interrupt(kernel)

    assert (1, [], []) == (kernel.handle.used_elsewhere, passed, kernel.answers())


def test_what_is_given_back_is_served(kernel: Kernel, passed: list[int]) -> None:
    """Once; and a signal reaches it here."""
    for _ in range(2):
        kernel.tap.serve_given_back(7, 0)
    waiting = len(kernel.handle.calls)
    interrupt(kernel)

    assert (1, [], [(7, errno.EINTR)]) == (waiting, passed, kernel.answers())


def test_a_signal_that_crosses_it_is_not_lost(kernel: Kernel, passed: list[int]) -> None:
    """The other server was told of it, and gives the call back all the same."""
    interrupt(kernel)
    kernel.tap.serve_given_back(7, 0)

    assert ([7], [(7, errno.EINTR)]) == (passed, kernel.answers())


def test_it_is_told_how_much_is_moved(kernel: Kernel) -> None:
    """The call that is begun again says so, and none after it."""
    kernel.tap.serve_again(request(kernel), 5)
    kernel.read(unique=9)

    assert [5, 0] == [call.moved for call in kernel.handle.calls]


def test_when_it_is_gone_they_fail(kernel: Kernel, passed: list[int]) -> None:
    """Each once."""
    kernel.tap.elsewhere.add(request(kernel, 9))
    for _ in range(2):
        kernel.tap.fail_elsewhere(errno.EIO)

    assert [(7, errno.EIO), (9, errno.EIO)] == sorted(kernel.answers())
