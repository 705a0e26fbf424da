"""Data handles: reading, writing and polling a stored file through the mount."""

import functools
import select
import socket
from collections.abc import Callable

from fdstorefs.core.node import OpenFile
from fdstorefs.host import syscalls
from fdstorefs.server.fuse import lending, protocol
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.fuse.lane import Lanes
from fdstorefs.server.fuse.readiness import ALWAYS_READY, Readiness, Watch, ready_now
from fdstorefs.server.fuse.transfer import Read, Write
from fdstorefs.server.passed import Told

_BROKEN = select.EPOLLERR | select.EPOLLHUP
_TO_READ = select.EPOLLIN | select.EPOLLRDNORM
_TO_WRITE = select.EPOLLOUT | select.EPOLLWRNORM


class DataHandle:
    """A handle on `file`, which it holds until it is released.

    The handle is a stream: it has no offset of its own, that of the stored open file counts, which everybody
    shares who has a copy. lseek, pread and pwrite fail with ESPIPE.
    """

    open_flags = (
        protocol.FOPEN_DIRECT_IO
        | protocol.FOPEN_NONSEEKABLE
        | protocol.FOPEN_STREAM  # else the kernel lets nobody write while somebody waits in a read
        | protocol.FOPEN_NOFLUSH  # else each close waits for whoever is writing
    )

    def __init__(
        self,
        file: OpenFile,
        lanes: Lanes,
        readiness: Readiness,
        notify: Callable[[int], None],
        *,
        for_equals: bool,
    ) -> None:
        self.file = file.hold()
        self._lanes = lanes
        self._readiness = readiness
        self._notify = notify
        self._for_equals = for_equals
        self._stays_short = _is_stream(file)
        self._kh: int | None = None
        self._asked = 0
        self._promised = 0
        self._watch: Watch | None = None

    def read(self, call: Call, size: int) -> None:
        """Read once, where the stored file stands, and wait for data as its own read would."""
        self._admit(call)
        if self._stays_short and size >= protocol.SPLIT_FROM:
            # A full answer makes the kernel ask for the next piece of a larger read(2), and wait for it.
            size -= 1
        exhausted = functools.partial(self._exhausted, _TO_READ)
        self._lanes.read(Read(self.file, call, exhausted, size))

    def write(self, call: Call, data: memoryview, offset: int) -> None:  # noqa: ARG002  a stream has no offset
        """Write where the stored file stands."""
        self._admit(call)
        exhausted = functools.partial(self._exhausted, _TO_WRITE)
        self._lanes.write(Write(self.file, call, exhausted, bytes(data)))

    def _admit(self, call: Call) -> None:
        if self._for_equals:
            lending.require_equal(call.caller)

    def poll(self, call: Call, events: int, kh: int | None) -> None:
        """Say what is ready now, and give notice when more is."""
        if not self.file.pollable:
            call.reply(protocol.poll_result(ALWAYS_READY & events))
            return
        ready = ready_now(self.file.descriptor, events)
        call.reply(protocol.poll_result(ready))
        if kh is not None:
            self._kh = kh
            self._asked |= events
            self._promise(events & ~ready, broken=bool(ready & _BROKEN))

    def _promise(self, events: int, *, broken: bool = False) -> None:
        """Give notice once one of `events` is ready: the pollers have been told that none is.

        What is `broken` stays so and they know it; but those of an earlier promise may not.
        """
        self._stop_watching()
        if broken:
            if self._promised:
                self._give_notice()
            return
        self._promised |= events
        if self._promised:
            self._watch = self._readiness.watch(self.file.descriptor, self._promised, self._give_notice)

    def _exhausted(self, events: int) -> None:
        """Another read or write may have to wait. Edge-triggered pollers do so without asking again."""
        if self._asked & events:
            self._promise(self._asked & events)

    def _give_notice(self) -> None:
        self._watch = None
        self._promised = 0  # all who are woken ask again
        if self._kh is not None:
            self._notify(self._kh)

    # Another server goes on

    def told(self) -> Told:
        """See `Handles`."""
        return {
            "file": self.file.number,
            "equals": self._for_equals,
            "kh": self._kh,
            "asked": self._asked,
            "promised": self._promised,
        }

    def take_over(self, told: Told) -> None:
        """What pollers have asked of the handle, and were promised, when another server had it."""
        self._kh, self._asked, self._promised = told["kh"], int(told["asked"]), int(told["promised"])

    def begin(self) -> None:
        """Keep what was promised."""
        self._promise(0)

    def was_used(self) -> None:
        """There may have been less than was asked for."""
        self._exhausted(self._asked)

    def leave(self) -> None:
        """See `Handles`."""
        self._stop_watching()
        self._asked = self._promised = 0

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def release(self) -> None:
        """Give the stored file back."""
        self._stop_watching()
        self.file.drop()


def _is_stream(file: OpenFile) -> bool:
    """Whether a read takes what there is, and what there is may be split at will."""
    if file.kind == "socket":
        return syscalls.socket_option(file.descriptor, socket.SO_TYPE) == socket.SOCK_STREAM
    return file.pollable
