"""One connected socket: messages and the descriptors beside them, in and out."""

import array
import errno
import os
import socket
from collections.abc import Sequence

from fdstorefs.client.retrieved import close_all
from fdstorefs.client.wire import Inbox
from fdstorefs.errors import BadDescriptor, Overloaded
from fdstorefs.interface import MAX_DESCRIPTORS

_ROOM = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
_CHUNK = 1 << 16
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)


class Disconnected(Exception):
    """The other side is gone; `sent` tells whether it may have got the call."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__(sent)
        self.sent = sent


class Channel:
    """A stream socket and what has been received on it so far.

    Descriptors belong to the message that they arrive with or before; `receive` passes them on with it.
    Works with a socket that doesn't block as well: then `send` and `receive` raise BlockingIOError and can
    be called again.
    """

    __slots__ = ("_descriptors", "_inbox", "_socket", "_truncated")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._inbox = Inbox()
        self._descriptors: list[int] = []
        self._truncated = False

    def fileno(self) -> int:
        """The descriptor of the socket, to wait on."""
        return self._socket.fileno()

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> int:
        """Send a message's beginning with all of its descriptors; returns how many bytes went.

        Raises Disconnected, BadDescriptor, Overloaded. Nothing went if it raises.
        """
        try:
            if not descriptors:
                return self._socket.send(message, socket.MSG_NOSIGNAL)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
            return self._socket.sendmsg([message], [rights], socket.MSG_NOSIGNAL)
        except OSError as error:
            raise _refusal(error, descriptors) from error

    def send_all(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a whole message on a socket that blocks. Raises as `send` does."""
        sent = self.send(message, descriptors)
        while sent < len(message):
            try:
                sent += self.send(message[sent:])
            except Disconnected:
                raise Disconnected(sent=True) from None

    def receive(self) -> tuple[bytes, list[int], bool]:
        """The next message, its descriptors, and whether any were lost on the way. Raises Disconnected."""
        while (message := self._inbox.pop()) is None:
            self._read()
        descriptors, self._descriptors = self._descriptors, []
        truncated, self._truncated = self._truncated, False
        return message, descriptors, truncated

    def _read(self) -> None:
        try:
            chunk, ancillary, flags, _ = self._socket.recvmsg(_CHUNK, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            if error.errno in _GONE:
                raise Disconnected(sent=True) from None
            raise
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._descriptors += array.array("i", data)
        if flags & socket.MSG_CTRUNC:
            self._truncated = True
        if not chunk:
            raise Disconnected(sent=True)
        self._inbox.push(chunk)

    @property
    def is_idle(self) -> bool:
        """Whether nothing has arrived that nobody has asked for."""
        return self._inbox.is_empty and not self._descriptors

    def close(self) -> None:
        """Close the socket, and descriptors that arrived and were never passed on."""
        self._socket.close()
        close_all(self._descriptors)


def _refusal(error: OSError, descriptors: Sequence[int]) -> Exception:
    """What an error of sendmsg means; BlockingIOError and what we don't know stay as they are."""
    if error.errno in _GONE:
        return Disconnected(sent=False)
    if error.errno == errno.EBADF:
        return BadDescriptor(f"{_which_is_closed(descriptors)} is no open descriptor of this process")
    if error.errno == errno.ETOOMANYREFS:
        return Overloaded(
            "too many descriptors of this user are on their way already",
            hint="try again when they have arrived",
        )
    return error


def _which_is_closed(descriptors: Sequence[int]) -> str:
    for descriptor in descriptors:
        try:
            os.fstat(descriptor)
        except OSError:
            return f"`{descriptor}`"
    return "one of them"
