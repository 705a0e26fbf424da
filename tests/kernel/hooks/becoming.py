"""What processes do to become subjects of which everything is known, and what reaches them then."""

import ctypes
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from fdstorefs.host import syscalls

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NEWUSER = 0x10000000
_LOW = (1 << 32) - 1
EVERY_ID = "0 0 4294967295"


def enter_new_namespace() -> int:
    """Enter a user namespace of one's own; its number."""
    syscalls.unshare(_CLONE_NEWUSER)
    return os.stat("/proc/self/ns/user").st_ino


def give_it_every_id(pid: int) -> None:
    """Have a process's new user namespace number ids as the one above it does, in which the caller must be."""
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text(EVERY_ID)


def open_some(number: int, line: int) -> None:
    """Open files and send them, keeping none."""
    files = [os.memfd_create("some") for _ in range(number)]
    with socket.socket(fileno=line) as end:
        socket.send_fds(end, [b"x"], files)
    for fd in files:
        os.close(fd)


def become(holder: int | None, uid: int, gids: Sequence[int], capabilities: int) -> None:
    """Enter the user namespace that a process holds, and be this user there with these capabilities, no others."""
    if holder is not None:
        namespace = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY)
        syscalls.setns(namespace, _CLONE_NEWUSER)
        os.close(namespace)
    _done(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    first, *others = gids
    os.setgroups(others)
    os.setresgid(first, first, first)
    os.setresuid(uid, uid, uid)
    low, high = capabilities & _LOW, capabilities >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (low, low, 0, high, high, 0)
    _done(_LIBC.capset(header, (ctypes.c_uint32 * 6)(*effective_permitted_inheritable)))


def arrived(messages: int, line: int) -> list[int | None]:
    """Receive so many messages with a descriptor each: the inodes, None where the kernel has taken one out."""
    with socket.socket(fileno=line) as end:
        return [_arrived(end) for _ in range(messages)]


def _arrived(end: socket.socket) -> int | None:
    _, descriptors, flags, _ = socket.recv_fds(end, 8, 2)
    if flags & socket.MSG_CTRUNC:
        assert not descriptors
        return None
    (fd,) = descriptors
    inode = os.fstat(fd).st_ino
    os.close(fd)
    return inode


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
