"""Handles and the calls that wait on them: each user may have so many, and others are not concerned."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from fdstorefs.errors import QuotaExceeded
from fdstorefs.server.fuse import tap
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.protocol import Opcode
from fdstorefs.server.fuse.tap import CALL_BYTES, Tap
from fdstorefs.server.shares import Most

ADA, BOB, CHE = 1, 2, 3


class Waiting:
    """A handle on which every call waits until it is let go."""

    open_flags = 0

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def read(self, call: Call, size: int) -> None:
        """Wait."""
        self.calls.append(call)

    def write(self, call: Call, data: memoryview, offset: int) -> None:
        """Wait."""
        self.calls.append(call)

    def poll(self, call: Call, events: int, kh: int | None) -> None:
        """Answer."""
        call.reply()

    def release(self) -> None:
        """Nothing is held."""


def test_a_user_may_have_so_many_open() -> None:
    """One is closed, and another can be opened; the number is told."""
    handles = Handles(Most(2, 5))
    first, _ = handles.add(Waiting(), ADA), handles.add(Waiting(), ADA)
    with pytest.raises(QuotaExceeded, match="uid 1 has 2 of 2 handles open"):
        handles.require_room(ADA)
    handles.require_room(BOB)
    handles.release(first)
    handles.release(first)

    handles.require_room(ADA)
    assert 1 == len(handles)


def test_all_users_may_have_so_many_open() -> None:
    """However many they are."""
    handles = Handles(Most(2, 3))
    for uid in (ADA, ADA, BOB):
        handles.add(Waiting(), uid)

    with pytest.raises(QuotaExceeded, match="all users together 3 of 3"):
        handles.require_room(CHE)


class Kernel:
    """The other end of the device, and a handle on which calls wait. A user may have two that came without data."""

    def __init__(self) -> None:
        self.end, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.setblocking(False)
        device.setblocking(False)
        self.device = Device(device.detach())
        handles = Handles(Most(1, 1))
        self.handle = Waiting()
        self.fh = handles.add(self.handle, ADA)
        self.tap = Tap(self.device, handles, lambda _request: None, lambda: None)
        self._unique = 0

    def ask(self, opcode: int, uid: int, data: bytes = b"") -> int:
        """A READ or WRITE; its number."""
        self._unique += 1
        body = struct.pack("=QQIIQII", self.fh, 0, len(data), 0, 0, 0, 0) + data
        header = struct.pack("=IIQQIIIHH", 40 + len(body), opcode, self._unique, 1, uid, 0, 5, 0, 0)
        self.tap.serve(memoryview(header + body))
        return self._unique

    def errors(self) -> dict[int, int]:
        """What came back."""
        found = {}
        while True:
            try:
                _, error, unique = struct.unpack_from("=IiQ", self.end.recv(4096))
            except BlockingIOError:
                return found
            found[unique] = -error


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """Nobody waits yet."""
    monkeypatch.setattr(tap, "MOST_KEPT", Most(2 * CALL_BYTES + 400, 5 * CALL_BYTES))
    made = Kernel()
    yield made
    made.end.close()
    made.device.close()


def test_so_many_calls_of_a_user_wait(kernel: Kernel) -> None:
    """One more is refused at once, another user's waits; when one has its answer there is room."""
    for _ in range(2):
        kernel.ask(Opcode.READ, ADA)
    refused = kernel.ask(Opcode.READ, ADA)
    kernel.ask(Opcode.READ, BOB)
    told = kernel.errors()
    kernel.handle.calls[0].reply()
    kernel.errors()
    kernel.ask(Opcode.READ, ADA)

    assert {refused: errno.EAGAIN} == told
    assert {} == kernel.errors()
    assert 4 == len(kernel.handle.calls)


def test_what_comes_with_a_write_counts(kernel: Kernel) -> None:
    """It is kept until it is written."""
    kernel.ask(Opcode.WRITE, ADA, bytes(CALL_BYTES))
    refused = kernel.ask(Opcode.WRITE, ADA, bytes(CALL_BYTES))

    assert {refused: errno.EAGAIN} == kernel.errors()


def test_all_users_together_have_so_many(kernel: Kernel) -> None:
    """However many they are."""
    for uid in range(10, 14):
        kernel.ask(Opcode.READ, uid)
    refused = kernel.ask(Opcode.READ, 20)

    assert {refused: errno.EAGAIN} == kernel.errors()


def test_what_fails_is_not_counted(kernel: Kernel) -> None:
    """Nothing is kept of a call that has its answer, whatever that is."""
    kernel.handle.read = _fail  # type: ignore[method-assign]
    for _ in range(10):
        kernel.ask(Opcode.READ, ADA)

    assert {errno.EIO} == set(kernel.errors().values())


def _fail(_call: Call, _size: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
