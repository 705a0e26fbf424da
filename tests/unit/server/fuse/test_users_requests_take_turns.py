"""Requests: whoever has many threads in the mount is served as often as whoever has one."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fdstorefs.server.fuse import requests
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.protocol import Opcode
from fdstorefs.server.fuse.requests import Requests
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.shares import Most

GETATTR = 3


class Waiting:
    """A handle on which every read waits for a signal."""

    open_flags = 0

    def read(self, call: Any, size: int) -> None:
        """Wait."""
        call.on_interrupt = lambda: call.fail(errno.EINTR)

    def release(self) -> None:
        """Nothing is held."""


class Mount:
    """A device that requests are sent to, and in which order they were served."""

    def __init__(self) -> None:
        self.end, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for one in (self.end, device):
            one.setblocking(False)
        self.device = Device(device.detach())
        self.served: list[int] = []
        self.unmounted = 0
        self.due: list[Callable[[], None]] = []
        handles = Handles(Most(3, 5))
        self.fh = handles.add(Waiting(), 0)  # type: ignore[arg-type]  # as much as a read needs
        self.requests = Requests(
            self.device, Tap(self.device, handles, self._exchange, self._gone), self.due.append
        )

    def _exchange(self, request: memoryview) -> bytes | None:
        (unique,) = struct.unpack_from("=Q", request, 8)
        self.served.append(unique)
        return None

    def _gone(self) -> None:
        self.unmounted += 1

    def send(self, unique: int, uid: int, opcode: int = GETATTR, body: bytes = b"") -> None:
        """A request of a user."""
        self.end.send(struct.pack("=IIQQIIIHH", 40 + len(body), opcode, unique, 1, uid, 0, 5, 0, 0) + body)

    def turn(self) -> None:
        """One turn of the loop."""
        self.requests.readable()
        due = self.due.copy()
        self.due.clear()
        for function in due:
            function()

    def answers(self) -> dict[int, int]:
        """What came back: the errno by request."""
        found = {}
        while True:
            try:
                _, error, unique = struct.unpack_from("=IiQ", self.end.recv(4096))
            except BlockingIOError:
                return found
            found[unique] = -error


@contextmanager
def made_mount() -> Iterator[Mount]:
    """A mount that nobody uses yet."""
    made = Mount()
    yield made
    made.end.close()
    made.device.close()


@pytest.fixture
def mount() -> Iterator[Mount]:
    """The same, with the limits that there are."""
    with made_mount() as made:
        yield made


def test_each_turn_serves_one_request_of_each_user(mount: Mount) -> None:
    """64 requests of one user came before the one of another."""
    for number in range(64):
        mount.send(number, uid=1)
    mount.send(100, uid=2)
    mount.turn()

    assert [0, 100] == mount.served


def test_who_comes_while_others_wait_is_served_in_the_same_turn(mount: Mount) -> None:
    """And one user's requests are served in the order in which they came."""
    for number in range(10):
        mount.send(number, uid=1)
    mount.turn()
    mount.send(100, uid=2)
    for _ in range(9):
        mount.turn()

    assert [0, 1, 100, 2, 3, 4, 5, 6, 7, 8, 9] == mount.served
    assert (0, []) == (len(mount.requests), mount.due)


def test_what_gives_back_does_not_wait(mount: Mount) -> None:
    """Handles that are closed count no more before others are opened."""
    mount.send(1, uid=1)
    mount.send(2, uid=1)
    mount.send(3, uid=0, opcode=Opcode.RELEASE)
    mount.turn()

    assert [3, 1] == mount.served


def test_a_signal_for_who_is_not_served_yet_is_not_lost(mount: Mount) -> None:
    """The read is interrupted once it is served; a signal for one that waits already is passed on at once."""
    reading = struct.pack("=QQIIQII", mount.fh, 0, 10, 0, 0, 0, 0)
    for unique in (10, 12):
        mount.send(unique, uid=1, opcode=Opcode.READ, body=reading)
    for unique in (10, 12):
        mount.send(unique + 1, uid=0, opcode=Opcode.INTERRUPT, body=struct.pack("=Q", unique))
    mount.turn()
    first = mount.answers()
    mount.turn()

    assert ({10: errno.EINTR}, {12: errno.EINTR}) == (first, mount.answers())


@pytest.mark.parametrize(("what", "most"), [("MOST_REQUESTS", 3), ("MOST_BYTES", 300)])
def test_only_so_much_is_read_ahead(monkeypatch: pytest.MonkeyPatch, what: str, most: int) -> None:
    """What more all users together have stays in the kernel until there is room."""
    monkeypatch.setattr(requests, what, Most(most, most))
    with made_mount() as mount:
        for number in range(5):
            mount.send(number, uid=number, body=bytes(60))
        mount.requests.readable()
        read_ahead = len(mount.requests)
        for _ in range(2):
            mount.turn()

        assert 3 == read_ahead
        assert list(range(5)) == mount.served


@pytest.mark.parametrize(("what", "most"), [("MOST_REQUESTS", 3), ("MOST_BYTES", 300)])
def test_what_one_user_has_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, what: str, most: int) -> None:
    """At once, and all others' is read that comes after it; he goes on when some of his is served."""
    monkeypatch.setattr(requests, what, Most(most, 4 * most))
    with made_mount() as mount:
        for number in range(5):
            mount.send(number, uid=1, body=bytes(60))
        mount.send(100, uid=2, body=bytes(60))
        mount.turn()
        told = mount.answers()
        mount.send(5, uid=1, body=bytes(60))
        for _ in range(3):
            mount.turn()

        assert {3: errno.EAGAIN, 4: errno.EAGAIN} == {at: told[at] for at in told if at not in (0, 100)}
        assert [0, 100, 1, 2, 5] == mount.served


def test_what_is_small_goes_on_beside_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose writes fill his share of bytes can still look."""
    monkeypatch.setattr(requests, "MOST_BYTES", Most(1000, 4000))
    with made_mount() as mount:
        for number in range(3):
            mount.send(number, uid=1, body=bytes(400))
        mount.send(3, uid=1)
        for _ in range(3):
            mount.turn()

        assert [0, 1, 3] == mount.served


def test_who_is_refused_again_and_again_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """However quickly he asks: after so many the next turn is due."""
    monkeypatch.setattr(requests, "MOST_REQUESTS", Most(1, 4))
    monkeypatch.setattr(requests, "MOST_REFUSED_AT_ONCE", 2)
    with made_mount() as mount:
        for number in range(6):
            mount.send(number, uid=1)
        mount.turn()
        told = mount.answers()

        assert ([0], {1, 2}) == (mount.served, set(told) - {0})


def test_everything_that_was_read_can_be_served_at_once(mount: Mount) -> None:
    """For whoever hands over to another server."""
    for number in range(5):
        mount.send(number, uid=number % 2)
    mount.requests.readable()
    mount.requests.serve_all()
    for function in mount.due:
        function()

    assert [0, 1, 2, 3, 4] == sorted(mount.served)
    assert 0 == len(mount.requests)


def test_the_end_of_the_mount_is_told_once_and_what_was_read_is_served(mount: Mount) -> None:
    """Nobody waits for it, which does no harm."""
    mount.send(1, uid=1)
    mount.requests.readable()
    mount.device.receive = _gone  # type: ignore[method-assign]
    mount.turn()
    mount.turn()

    assert (1, [1]) == (mount.unmounted, mount.served)


def _gone() -> None:
    raise requests.Unmounted
