"""Transfers: one READ or WRITE on a stored file, from the request to its answer."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from fdstorefs.core.node import OpenFile
from fdstorefs.server.fuse import protocol, stored_io
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.loop import Timer

Result = TypeVar("Result")


class Unfinished(NamedTuple):
    """A transfer that another server is to go on with: the request, whole, and how many bytes are moved."""

    request: bytes
    moved: int


class Transfer(ABC, Generic[Result]):
    """A call that moves data. `attempt` runs in a thread, all else in the loop.

    `on_exhausted` is called when there was less to move than asked for, or nothing. `patience` ends a wait that
    may not last. `tried` is False until the first attempt, which is made in any case: a file may have an error
    to tell and never become ready.
    """

    def __init__(self, file: OpenFile, call: Call, on_exhausted: Callable[[], None]) -> None:
        self.file = file
        self.call = call
        self.interrupted = False
        self.tried = False
        self.patience: Timer | None = None
        self.on_exhausted = on_exhausted

    @abstractmethod
    def attempt(self) -> Result:
        """Move what can be moved without waiting; raises OSError, BlockingIOError if that is nothing."""

    @abstractmethod
    def advance(self, result: Result) -> None:
        """Take in what an attempt gave; answers the call if it is complete."""

    @abstractmethod
    def unfinished(self) -> Unfinished:
        """What another server has to know to go on with it."""

    def would_block(self) -> None:
        """There is nothing to move, and the caller doesn't want to wait."""
        self.on_exhausted()
        self.end(errno.EAGAIN)

    def end(self, code: int) -> None:
        """It will not go on: answer with this errno."""
        self.call.fail(code)


class Read(Transfer["bytes | bytearray"]):
    """A READ of at most `size` bytes."""

    def __init__(self, file: OpenFile, call: Call, on_exhausted: Callable[[], None], size: int) -> None:
        super().__init__(file, call, on_exhausted)
        self._size = size

    def attempt(self) -> bytes | bytearray:
        """Read once."""
        return stored_io.read_now(self.file, self._size)

    def advance(self, result: bytes | bytearray) -> None:
        """Whatever came is the answer; nothing at all is the end of the file."""
        self.call.reply(result)
        if 0 < len(result) < self._size:
            self.on_exhausted()

    def unfinished(self) -> Unfinished:
        """A read that waits has read nothing."""
        return Unfinished(self.call.request, 0)


class Write(Transfer[int]):
    """A WRITE. One that may wait is complete when all is written, as for a pipe; else what fits is enough."""

    def __init__(self, file: OpenFile, call: Call, on_exhausted: Callable[[], None], data: bytes) -> None:
        super().__init__(file, call, on_exhausted)
        self._data = data
        self._rest = memoryview(data)[call.moved :]
        self._written = call.moved

    def attempt(self) -> int:
        """Write once."""
        return stored_io.write_now(self.file, self._rest)

    def advance(self, result: int) -> None:
        """Go on with the rest, if there is one and the caller waits for it."""
        self._written += result
        self._rest = self._rest[result:]
        if not self._rest or self.call.nonblocking:
            self.call.reply(protocol.write_result(self._written))
        if self._rest:
            self.on_exhausted()

    def unfinished(self) -> Unfinished:
        """With all of its data, and how much of that is written."""
        return Unfinished(self.call.request + self._data, self._written)

    def end(self, code: int) -> None:
        """What was written counts; the errno is for a write of nothing."""
        if self._written:
            self.call.reply(protocol.write_result(self._written))
        else:
            super().end(code)
