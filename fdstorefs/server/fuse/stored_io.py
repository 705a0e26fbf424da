"""Reading and writing stored files, where they stand, without a change to their flags.

O_NONBLOCK belongs to the open file, which others use too. So each attempt says for itself that it won't wait:
MSG_DONTWAIT, or RWF_NOWAIT where the file knows it. Each may still be held up by whoever shares the file: the
kernel takes the lock of a pipe, a socket or a file position without regard to those flags, and another reader
whose memory faults on a dead FUSE mount keeps it. So these functions are for worker threads.
"""

import errno
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fdstorefs.core.node import OpenFile
from fdstorefs.server.fuse.readiness import ready_now

NATURAL_OFFSET = -1
_WITHOUT_NOWAIT = (errno.EOPNOTSUPP, errno.EINVAL)
_SAFE_WRITE = select.PIPE_BUF


def read_now(file: OpenFile, size: int) -> bytes | bytearray:
    """At most `size` bytes from where the file stands. Raises BlockingIOError if there are none yet.

    A file that is not pollable is waited for: that is a disk's time; but for a device, which is asked here whether it
    is ready. So is one that cannot read without waiting and from which somebody else took the data between our look
    and our read.
    """
    if file.kind == "socket":
        with _borrowed(file.descriptor) as borrowed:
            return borrowed.recv(size, socket.MSG_DONTWAIT)
    if not file.pollable and file.kind != "device":
        return os.read(file.descriptor, size)
    return _read_without_waiting(file.descriptor, size)


def _read_without_waiting(descriptor: int, size: int) -> bytes | bytearray:
    buffer = bytearray(size)
    try:
        del buffer[os.preadv(descriptor, [buffer], NATURAL_OFFSET, os.RWF_NOWAIT) :]
    except OSError as error:
        if error.errno not in _WITHOUT_NOWAIT:
            raise
        _require_readiness(descriptor, select.POLLIN)
        return os.read(descriptor, size)
    return buffer


def write_now(file: OpenFile, data: memoryview) -> int:
    """Write what can be written at once where the file stands; returns the count. Raises BlockingIOError."""
    if file.kind == "socket":
        with _borrowed(file.descriptor) as borrowed:
            return borrowed.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    if not file.pollable and file.kind != "device":
        return os.write(file.descriptor, data)
    return _write_without_waiting(file.descriptor, data)


def _write_without_waiting(descriptor: int, data: memoryview) -> int:
    try:
        return os.pwritev(descriptor, [data], NATURAL_OFFSET, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno not in _WITHOUT_NOWAIT:
            raise
    _require_readiness(descriptor, select.POLLOUT)
    # A pipe that is ready takes so much without waiting; more would wait for a reader.
    return os.write(descriptor, data[:_SAFE_WRITE])


def _require_readiness(descriptor: int, events: int) -> None:
    if not ready_now(descriptor, events):
        raise BlockingIOError(errno.EAGAIN, "not ready")


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A socket object around a descriptor that stays the store's.

    Family and type are given so that nobody asks the socket for them: they don't matter to send and recv.
    """
    borrowed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()
