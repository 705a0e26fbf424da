"""Whatever comes out of the device is answered, once, whoever has to do it and whatever goes wrong."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from fdstorefs.errors import Denied
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.protocol import Opcode
from fdstorefs.server.fuse.tap import Tap
from fdstorefs.server.shares import Most

GETATTR = 3


class Waiting:
    """A handle on which every call waits, or fails in the way that is set."""

    open_flags = 0x21

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.failure: Exception | None = None
        self.released = 0

    def read(self, call: Call, size: int) -> None:
        """Wait or fail."""
        if self.failure is not None:
            raise self.failure
        call.on_interrupt = lambda: call.fail(errno.EINTR)
        self.calls.append(call)

    def write(self, call: Call, data: memoryview, offset: int) -> None:
        """Answer with the length."""
        call.reply(len(data).to_bytes(8, "little"))

    def poll(self, call: Call, events: int, kh: int | None) -> None:
        """Answer with the waiters."""
        call.reply((kh or 0).to_bytes(8, "little"))

    def release(self) -> None:
        """Count."""
        self.released += 1


class Kernel:
    """The other end of the device: a socket that keeps messages apart, as /dev/fuse does."""

    def __init__(self) -> None:
        self.end, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.setblocking(False)
        device.setblocking(False)
        self.device = Device(device.detach())
        self.handles = Handles(Most(3, 5))
        self.handle = Waiting()
        self.fh = self.handles.add(self.handle, 0)
        self.reply: bytes | None = None
        self.asked: list[bytes] = []
        self.unmounted = 0
        self.tap = Tap(self.device, self.handles, self._exchange, self._count)

    def _exchange(self, request: memoryview) -> bytes | None:
        self.asked.append(bytes(request))
        return self.reply

    def _count(self) -> None:
        self.unmounted += 1

    def send(self, opcode: int, body: bytes = b"", unique: int = 7) -> None:
        """One request, served."""
        self.end.send(struct.pack("=IIQQIIIHH", 40 + len(body), opcode, unique, 1, 0, 0, 5, 0, 0) + body)
        request = self.device.receive()
        assert request is not None
        self.tap.serve(request)

    def read(self, unique: int = 7, fh: int = 0, flags: int = 0) -> None:
        """A READ on the handle."""
        self.send(Opcode.READ, struct.pack("=QQIIQII", fh or self.fh, 0, 10, 0, 0, flags, 0), unique)

    def answers(self) -> list[tuple[int, int]]:
        """What came back: request and errno."""
        found = []
        while True:
            try:
                _, error, unique = struct.unpack_from("=IiQ", self.end.recv(4096))
            except BlockingIOError:
                return found
            found.append((unique, -error))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A kernel with a tap on its device and one handle open."""
    made = Kernel()
    yield made
    made.end.close()
    made.device.close()


def test_names_are_answered_by_whoever_serves_them(kernel: Kernel) -> None:
    """The whole request goes there, the whole answer back."""
    kernel.reply = struct.pack("=IiQ", 16, -2, 7)
    kernel.send(GETATTR, b"body")

    assert ([(7, 2)], b"body") == (kernel.answers(), kernel.asked[0][40:])


def test_a_name_that_gets_no_answer_is_eio(kernel: Kernel) -> None:
    """Nobody is left waiting."""
    kernel.send(GETATTR)

    assert [(7, errno.EIO)] == kernel.answers()


@pytest.mark.parametrize("opcode", [Opcode.FORGET, Opcode.BATCH_FORGET])
def test_forgetting_is_not_answered(kernel: Kernel, opcode: Opcode) -> None:
    """The kernel doesn't wait for that."""
    kernel.send(opcode)

    assert [] == kernel.answers()


def test_an_opened_handle_gets_its_flags(kernel: Kernel) -> None:
    """On their way through."""
    kernel.reply = struct.pack("=IiQQII", 32, 0, 7, kernel.fh, 0, 0)
    kernel.send(Opcode.OPEN)

    assert (kernel.fh, 0x21) == struct.unpack_from("=QI", kernel.end.recv(99), 16)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Denied("no"), errno.EACCES),
        (OSError(errno.ENODEV, "gone"), errno.ENODEV),
        (ZeroDivisionError(), errno.EIO),
    ],
)
def test_a_handle_that_fails_is_answered_with_the_errno(
    kernel: Kernel, failure: Exception, code: int
) -> None:
    """A bug is EIO."""
    kernel.handle.failure = failure
    kernel.read()

    assert ([(7, code)], 0) == (kernel.answers(), kernel.tap.waiting)


def test_a_handle_that_is_not_there_is_ebadf(kernel: Kernel) -> None:
    """As for a number that was never given."""
    kernel.read(fh=99)

    assert [(7, errno.EBADF)] == kernel.answers()


@pytest.mark.parametrize(
    ("opcode", "code"),
    [
        (Opcode.IOCTL, errno.ENOTTY),
        (Opcode.LSEEK, errno.ESPIPE),
        (Opcode.FALLOCATE, errno.EOPNOTSUPP),
        (Opcode.COPY_FILE_RANGE, errno.EOPNOTSUPP),
    ],
)
def test_what_no_handle_can_do_is_refused(kernel: Kernel, opcode: Opcode, code: int) -> None:
    """Each with its own errno, none with ENOSYS."""
    kernel.send(opcode)

    assert [(7, code)] == kernel.answers()


def test_an_interrupt_reaches_the_call_that_waits(kernel: Kernel) -> None:
    """Only that one; others wait on."""
    kernel.read(unique=7)
    kernel.read(unique=9)
    kernel.send(Opcode.INTERRUPT, struct.pack("=Q", 9), unique=10)

    assert ([(9, errno.EINTR)], 1) == (kernel.answers(), kernel.tap.waiting)


def test_an_interrupt_that_comes_too_late_does_nothing(kernel: Kernel) -> None:
    """The call was answered, or never was."""
    kernel.read()
    kernel.handle.calls[0].reply(b"data")
    kernel.send(Opcode.INTERRUPT, struct.pack("=Q", 7), unique=8)

    assert [(7, 0)] == kernel.answers()


def test_a_call_is_answered_once(kernel: Kernel) -> None:
    """What comes later is dropped."""
    kernel.read()
    kernel.handle.calls[0].fail(errno.EINTR)
    kernel.handle.calls[0].reply(b"late")

    assert [(7, errno.EINTR)] == kernel.answers()


def test_a_call_knows_its_caller_and_whether_it_may_wait(kernel: Kernel) -> None:
    """From the header, and from the handle's flags at that moment."""
    kernel.read(flags=os.O_NONBLOCK)
    call = kernel.handle.calls[0]

    assert ((0, 0, 5), True) == (call.caller, call.nonblocking)


def test_the_first_request_is_kept(kernel: Kernel) -> None:
    """For a session that takes the device over."""
    kernel.reply = struct.pack("=IiQ", 16, -71, 7)
    kernel.send(Opcode.INIT, b"init")

    assert kernel.tap.init_request.endswith(b"init")
