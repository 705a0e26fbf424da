"""What actors try, to get at what another process has. All give the errnos that they met, each once; 0: it worked."""

import ctypes
import errno
import os
from collections.abc import Callable, Iterable
from functools import partial

from fdstorefs.host import syscalls
from tests.kernel.attempts import read

Way = Callable[[int], list[int]]

NUMBERS = range(64)
"""The descriptors that are tried. What isn't open there doesn't count."""

_NOT_OPEN = (errno.EBADF, errno.ENOENT)
_LIBC = ctypes.CDLL(None, use_errno=True)
_ATTACH, _DETACH, _SEIZE, _INTERRUPT = 16, 17, 0x4206, 0x4207
_LENGTH = 8


def copy_all(pid: int) -> list[int]:
    """Copy each descriptor."""
    return _met(partial(_copy, pid, number) for number in NUMBERS)


def copy(pid: int, number: int) -> str:
    """Copy one and read it."""
    fd = _copied(pid, number)
    try:
        return read(fd)
    finally:
        os.close(fd)


def reopen_all(pid: int) -> list[int]:
    """Open anew what each descriptor refers to."""
    return _met(partial(_open, f"/proc/{pid}/fd/{number}", os.O_PATH) for number in NUMBERS)


def read_links(pid: int) -> list[int]:
    """Learn what each descriptor refers to."""
    return _met(partial(os.readlink, f"/proc/{pid}/fd/{number}") for number in NUMBERS)


def open_memory(pid: int) -> list[int]:
    """Open its memory, to read and to write."""
    return _met(partial(_open, f"/proc/{pid}/mem", flags) for flags in (os.O_RDONLY, os.O_RDWR))


def read_memory(pid: int) -> list[int]:
    """Read a bit of its memory, where it has the C library as we have it."""
    return _met([partial(_read_memory, pid)])


def attach(pid: int) -> list[int]:
    """Stop it and become its tracer; let go if that worked."""
    return _met([partial(_trace, pid, _ATTACH)])


def seize(pid: int) -> list[int]:
    """Become its tracer without stopping it; let go if that worked."""
    return _met([partial(_trace, pid, _SEIZE)])


def _met(attempts: Iterable[Callable[[], object]]) -> list[int]:
    return sorted({_errno_of(attempt) for attempt in attempts}.difference(_NOT_OPEN))


def _errno_of(attempt: Callable[[], object]) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or -1
    return 0


def _copied(pid: int, number: int) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        return syscalls.pidfd_getfd(pidfd, number)
    finally:
        os.close(pidfd)


def _copy(pid: int, number: int) -> None:
    os.close(_copied(pid, number))


def _open(path: str, flags: int) -> None:
    os.close(os.open(path, flags))


def _read_memory(pid: int) -> None:
    here = ctypes.create_string_buffer(_LENGTH)
    there = ctypes.cast(_LIBC.getpid, ctypes.c_void_p).value
    vector = ctypes.c_void_p * 2
    local, remote = vector(ctypes.addressof(here), _LENGTH), vector(there, _LENGTH)
    _done(_LIBC.process_vm_readv(pid, local, 1, remote, 1, 0))


def _trace(pid: int, how: int) -> None:
    _done(_LIBC.ptrace(how, pid, 0, 0))
    if how == _SEIZE:
        _done(_LIBC.ptrace(_INTERRUPT, pid, 0, 0))
    os.waitpid(pid, 0)
    _done(_LIBC.ptrace(_DETACH, pid, 0, 0))


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
