"""Requests: whoever has many threads in the mount is served as often as whoever has one."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
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


@pytest.fixture
def mount() -> Iterator[Mount]:
    """A mount that nobody uses yet."""
    made = Mount()
    yield made
    made.end.close()
    made.device.close()


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


def test_only_so_much_is_read_ahead(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """What more there is stays in the kernel until there is room."""
    monkeypatch.setattr(requests, "MOST_REQUESTS", 3)
    for number in range(5):
        mount.send(number, uid=1)
    mount.turn()
    read_ahead = len(mount.requests)
    for _ in range(4):
        mount.turn()

    assert 2 == read_ahead
    assert list(range(5)) == mount.served


def test_so_many_bytes_are_read_ahead(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large writes count for what they are."""
    monkeypatch.setattr(requests, "MOST_BYTES", 100)
    for number in range(4):
        mount.send(number, uid=1, body=bytes(60))
    mount.turn()

    assert 0 == len(mount.requests)
    assert [0] == mount.served


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
