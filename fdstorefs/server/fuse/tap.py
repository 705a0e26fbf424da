"""The tap between the kernel and libfuse: names go to pyfuse3, what happens on handles is served here.

libfuse would serve handles too, but with pyfuse3 nobody learns who reads or writes, nor that a signal has
arrived for a reader who waits. The kernel waits for an answer however dead the reader is: without INTERRUPT
he cannot even be killed.
"""

import errno
import logging
import os
from collections.abc import Callable

from fdstorefs.errors import Overloaded
from fdstorefs.server.fuse import protocol
from fdstorefs.server.fuse.call import Call, Payload
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.device import Device
from fdstorefs.server.fuse.elsewhere import Elsewhere
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.protocol import Header, Opcode
from fdstorefs.server.out_of_descriptors import code_of
from fdstorefs.server.shares import Most, Shares

log = logging.getLogger(__name__)

CALL_BYTES = 4096
"""What a call costs that waits, besides the data that came with it."""
MOST_KEPT = Most(1 << 25, 1 << 27)
"""Bytes of calls that wait: of one user, and in all."""

Exchange = Callable[[memoryview], bytes | None]


class Tap:
    """Sees to it that each request that was read from the device is answered.

    `exchange` serves names: it returns the whole answer to a whole request. `on_unmounted` is called once.
    """

    def __init__(
        self, device: Device, handles: Handles, exchange: Exchange, on_unmounted: Callable[[], None]
    ) -> None:
        self._device = device
        self._handles = handles
        self._exchange = exchange
        self._on_unmounted = on_unmounted
        self._waiting: dict[int, Call] = {}
        self._kept = Shares(*MOST_KEPT)
        self._costs: dict[int, int] = {}
        self._unmounted = False
        self._serve: dict[int, Callable[[Header, memoryview], None]] = {
            Opcode.READ: self._read,
            Opcode.WRITE: self._write,
            Opcode.POLL: self._poll,
            Opcode.INTERRUPT: self._interrupt,
            Opcode.INIT: self._init,
            Opcode.OPEN: self._open,
            Opcode.CREATE: self._open,
            **dict.fromkeys(protocol.REFUSED, self._refuse),
        }
        self.init_request = b""
        """What the kernel asked first: a session of another process on this device must be told the same."""
        self.init_answer = b""
        """What it was answered, without a header."""
        self.elsewhere = Elsewhere()
        self.on_answered: Callable[[int], None] | None = None
        """Told of every call that is answered."""
        self._moved: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many calls have no answer yet."""
        return len(self._waiting)

    def serve(self, request: memoryview) -> None:
        """Serve one request. Never blocks and never raises."""
        self._dispatch(protocol.header(request), request)

    def serve_again(self, request: bytes, moved: int) -> None:
        """Serve a request that another server has read and begun, but not answered."""
        view = memoryview(request)
        header = protocol.header(view)
        self._moved[header.unique] = moved
        self._dispatch(header, view)
        self._moved.clear()

    def init_again(self, request: bytes, answer: bytes) -> bool:
        """Tell the session what another one was told. Whether it would have answered as that did."""
        self.init_request, self.init_answer = request, answer
        reply = self._exchange(memoryview(request))
        return reply is not None and protocol.payload(protocol.negotiate(reply)) == answer

    def serve_given_back(self, unique: int, moved: int) -> None:
        """Serve a call that another server was to answer, and will not. Harmless if there is none."""
        request, is_interrupted = self.elsewhere.take(unique)
        if request:
            self.serve_again(request, moved)
        if is_interrupted:
            self.interrupt(unique)

    def fail_elsewhere(self, code: int) -> None:
        """Answer all calls that another server was to answer."""
        for unique in self.elsewhere.numbers:
            self.elsewhere.take(unique)
            self._device.answer(unique, code)

    def end(self) -> None:
        """The file system is unmounted: nobody waits any more."""
        if not self._unmounted:
            self._unmounted = True
            self.fail_all(errno.ENOTCONN)
            self._on_unmounted()

    def fail_all(self, code: int) -> None:
        """Answer every call that waits with this errno."""
        for call in tuple(self._waiting.values()):
            call.fail(code)

    def _dispatch(self, header: Header, request: memoryview) -> None:
        try:
            self._serve.get(header.opcode, self._name)(header, request)
        except OSError as error:
            self._refuse_with(header, code_of(error))
        except Exception:
            log.exception("a request failed: opcode %d, thread %d", header.opcode, header.tid)
            self._refuse_with(header, errno.EIO)

    def _refuse_with(self, header: Header, code: int) -> None:
        call = self._waiting.get(header.unique)
        if call is not None:
            call.fail(code)
        elif header.opcode not in protocol.UNANSWERED:
            self._device.answer(header.unique, code)

    # Names

    def _name(self, header: Header, request: memoryview) -> None:
        reply = self._ask(header, request)
        if reply is not None:
            self._device.forward(reply)

    def _ask(self, header: Header, request: memoryview) -> bytes | None:
        reply = self._exchange(request)
        if reply is None and header.opcode not in protocol.UNANSWERED:
            self._device.answer(header.unique, errno.EIO)
        return reply

    def _init(self, header: Header, request: memoryview) -> None:
        self.init_request = bytes(request)
        reply = self._ask(header, request)
        if reply is not None:
            negotiated = protocol.negotiate(reply)
            self.init_answer = protocol.payload(negotiated)
            self._device.forward(negotiated)

    def _open(self, header: Header, request: memoryview) -> None:
        reply = self._ask(header, request)
        if reply is None:
            return
        if protocol.is_success(reply):
            handle = self._handles.get(protocol.opened(header.opcode, reply))
            reply = protocol.with_open_flags(header.opcode, reply, handle.open_flags)
        self._device.forward(reply)

    # Handles

    def _read(self, header: Header, request: memoryview) -> None:
        body = protocol.transfer(request)
        handle = self._handles.get(body.fh)
        handle.read(self._call(header, request, body.flags), body.size)

    def _write(self, header: Header, request: memoryview) -> None:
        body = protocol.transfer(request)
        handle = self._handles.get(body.fh)
        handle.write(self._call(header, request, body.flags), protocol.written(request), body.offset)

    def _poll(self, header: Header, request: memoryview) -> None:
        body = protocol.poll(request)
        handle = self._handles.get(body.fh)
        waiters = body.kh if body.flags & protocol.POLL_SCHEDULE_NOTIFY else None
        handle.poll(self._call(header, request, 0), body.events, waiters)

    def _refuse(self, header: Header, _request: memoryview) -> None:
        self._device.answer(header.unique, protocol.REFUSED[Opcode(header.opcode)])

    def _interrupt(self, _header: Header, request: memoryview) -> None:
        # It may cross our answer; then there is nothing left to do.
        unique = protocol.interrupted(request)
        if not self.elsewhere.interrupt(unique):
            self.interrupt(unique)

    def interrupt(self, unique: int) -> None:
        """A signal has arrived for the caller of this call. Harmless if it has been answered."""
        call = self._waiting.get(unique)
        if call is not None:
            call.interrupt()

    def _call(self, header: Header, request: memoryview, flags: int) -> Call:
        self._keep(header)
        call = Call(
            header.unique,
            Caller(header.uid, header.gid, header.tid),
            self._answer,
            nonblocking=bool(flags & os.O_NONBLOCK),
            request=bytes(request[: protocol.TRANSFER_SIZE]),
            moved=self._moved.get(header.unique, 0),
        )
        self._waiting[header.unique] = call
        return call

    def _keep(self, header: Header) -> None:
        """What a call costs while it waits counts for its caller."""
        cost = CALL_BYTES + header.length
        if not self._kept.fits(header.uid, cost):
            raise Overloaded(
                f"uid {header.uid} has {self._kept.of(header.uid)} of {self._kept.per_uid} bytes in calls that wait, "
                f"and all users together {self._kept.used} of {self._kept.total}",
                hint="read or write with fewer threads at a time",
            )
        self._kept.take(header.uid, cost)
        self._costs[header.unique] = cost

    def _answer(self, call: Call, code: int, payload: Payload) -> None:
        del self._waiting[call.unique]
        self._kept.take(call.caller.uid, -self._costs.pop(call.unique))
        self._device.answer(call.unique, code, payload)
        if self.on_answered is not None:
            self.on_answered(call.unique)
