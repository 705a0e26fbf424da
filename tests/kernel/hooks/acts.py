"""What actors do in the tests of the hooks. An OSError comes back to the test."""

import ctypes
import os
import socket
from pathlib import Path

from tests.kernel.messages import receive_rights

_LIBC = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME, _PTRACE_ATTACH, _PTRACE_DETACH = 0, 16, 17
_PIDFD_GETFD = 438
_PR_SET_KEEPCAPS = 8


def received(flags: int, line: int) -> list[object]:
    """What comes through a socket: the inode numbers of the descriptors, and the flags."""
    with socket.socket(fileno=line) as end:
        _, descriptors, found = receive_rights(end, 8, flags)
    inodes = [os.fstat(fd).st_ino for fd in descriptors]
    for fd in descriptors:
        os.close(fd)
    return [inodes, found]


def keep(line: int) -> list[int]:
    """Receive descriptors and keep them; their numbers."""
    with socket.socket(fileno=line) as end:
        return list(socket.recv_fds(end, 8, 4)[1])


def pass_on(number: int, line: int) -> None:
    """Send a descriptor that is kept."""
    with socket.socket(fileno=line) as end:
        socket.send_fds(end, [b"x"], [number])


def memfd() -> int:
    """Open something new; its number."""
    return os.memfd_create("theirs")


def fetched(pid: int, number: int) -> int:
    """The inode of another process's descriptor, got by pidfd_getfd."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = _done(_LIBC.syscall(_PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def look_at(path: str) -> None:
    """Open and read a little of a file, or list a directory's links."""
    place = Path(path)
    if place.is_dir():
        for entry in sorted(place.iterdir()):
            entry.readlink()
    else:
        os.close(os.open(path, os.O_RDWR))


def listed(path: str) -> list[str]:
    """The names in a directory."""
    return os.listdir(path)


def attach(pid: int) -> None:
    """Trace another process, and let go."""
    _done(_LIBC.ptrace(_PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0)
    _done(_LIBC.ptrace(_PTRACE_DETACH, pid, 0, 0))


def be_traced() -> None:
    """Let the parent trace."""
    _done(_LIBC.ptrace(_PTRACE_TRACEME, 0, 0, 0))


def order(argument: int, number: int) -> int:
    """F_SETFD with all bits on a descriptor that came along; the errno, or 0."""
    return _ordered(argument, number)


def order_kept(argument: int, number: int) -> int:
    """The same on one that is kept."""
    return _ordered(argument, number)


def opened(path: str, flags: int) -> None:
    """Open and close."""
    os.close(os.open(path, flags))


def connected(path: str) -> None:
    """Connect to a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.connect(path)


def become_with_capabilities(uid: int) -> None:
    """Another user, with all capabilities."""
    _done(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0)
    _done(_LIBC.capset(header, data))


def get_by_number(kind: str, number: int) -> None:
    """A map, program or link of the kernel's by its number, given back at once."""
    from fdstorefs.bpf import syscall

    how = {"map": syscall.map_by_number, "program": syscall.program_by_number, "link": syscall.link_by_number}
    os.close(how[kind](number))


def _ordered(argument: int, number: int) -> int:
    _LIBC.fcntl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_ulong]
    return ctypes.get_errno() if _LIBC.fcntl(number, 2, argument) < 0 else 0


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
