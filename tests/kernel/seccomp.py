"""What actors do to have descriptors put into one process by another, which decides on its system calls (seccomp)."""

import ctypes
import fcntl
import os
import platform
import socket
from struct import Struct

from tests.kernel.attempts import own_number, read

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_GETPPID = {"x86_64": 110, "aarch64": 173}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_NOTIFY, _ALLOW = 0x7FC0_0000, 0x7FFF_0000

_INSTRUCTION = Struct("=HBBI")
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06

_REQUEST, _REQUEST_SIZE, _ID = 0xC050_2100, 80, Struct("=Q")
_ANSWER, _ANSWER_LAYOUT = 0xC018_2101, Struct("=QqiI")
_ADD_FD, _ADD_FD_LAYOUT = 0x4018_2103, Struct("=QIIII")


def be_supervised(line: int) -> None:
    """Let whoever has the other end of this socket answer our calls of getppid."""
    machine = platform.machine()
    program = b"".join(
        _INSTRUCTION.pack(*each)
        for each in (
            (_LOAD_NUMBER, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 1, _GETPPID[machine]),
            (_RETURN, 0, 0, _NOTIFY),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(program)
    filter_ = (ctypes.c_uint64 * 2)(len(program) // _INSTRUCTION.size, ctypes.addressof(code))
    listener = _done(_LIBC.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _NEW_LISTENER, filter_))
    with socket.socket(fileno=line) as end:
        socket.send_fds(end, [b"x"], [listener])
    os.close(listener)


def call_supervisor() -> str:
    """Call getppid, and read the descriptor whose number comes back."""
    return read(_done(_LIBC.syscall(_GETPPID[platform.machine()])))


def put_into_caller(name: str, line: int) -> None:
    """Wait for a call and put what this process has of that name into its caller; tell him its number, or the errno.

    What goes wrong here is raised here, too.
    """
    with socket.socket(fileno=line) as end:
        (listener,) = socket.recv_fds(end, 1, 1)[1]
    try:
        request = fcntl.ioctl(listener, _REQUEST, bytes(_REQUEST_SIZE))
        (number,) = _ID.unpack_from(request)
        _put(listener, number, own_number(name))
    finally:
        os.close(listener)


def _put(listener: int, request: int, fd: int) -> None:
    try:
        there = fcntl.ioctl(listener, _ADD_FD, bytearray(_ADD_FD_LAYOUT.pack(request, 0, fd, 0, 0)))
    except OSError as error:
        fcntl.ioctl(listener, _ANSWER, _ANSWER_LAYOUT.pack(request, 0, -(error.errno or 0), 0))
        raise
    fcntl.ioctl(listener, _ANSWER, _ANSWER_LAYOUT.pack(request, there, 0, 0))


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
