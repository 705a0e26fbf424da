"""Tracing a process from before it is guarded: a tracer in an actor, who lets its signals pass and does no more."""

import ctypes
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kernel.actor import Obedient

_LIBC = ctypes.CDLL(None, use_errno=True)
_CONTINUE, _DETACH, _SEIZE, _INTERRUPT = 7, 17, 0x4206, 0x4207
_WALL = 0x40000000
_EVENT = 16
_PAUSE_MILLISECONDS = 5


def follow(task: int, ready: int, bell: int) -> None:
    """Trace a thread until somebody rings; `ready` is closed once that has begun."""
    try:
        _ptrace(_SEIZE, task)
    finally:
        os.close(ready)
    ringing = select.poll()
    ringing.register(bell, select.POLLIN)
    while not ringing.poll(_PAUSE_MILLISECONDS):
        if not _go_on(task):
            return
    _let_go(task)


def try_to_trace(task: int) -> int:
    """The errno that somebody meets who begins to trace a thread, and lets go of it; 0: it worked."""
    try:
        _ptrace(_SEIZE, task)
    except OSError as error:
        return error.errno or -1
    _let_go(task)
    return 0


def _go_on(task: int) -> bool:
    """Let it run if it stands; False if it has ended."""
    try:
        pid, status = os.waitpid(task, os.WNOHANG | _WALL)
    except ChildProcessError:
        return False
    if pid and os.WIFSTOPPED(status):
        _ptrace(_CONTINUE, task, 0 if status >> _EVENT else os.WSTOPSIG(status))
    return not pid or os.WIFSTOPPED(status)


def _let_go(task: int) -> None:
    _ptrace(_INTERRUPT, task)
    os.waitpid(task, _WALL)
    _ptrace(_DETACH, task)


def _ptrace(request: int, task: int, data: int = 0) -> None:
    if _LIBC.ptrace(request, task, None, ctypes.c_void_p(data)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def followed(tracer: Obedient, task: int) -> Iterator[None]:
    """Have a thread traced from here to the end of the block."""
    seizing, seized = os.pipe()
    bell, rope = os.pipe()
    try:
        tracer.begin(follow, task, descriptors=(seized, bell))
        os.close(seized)
        os.read(seizing, 1)
        yield
    finally:
        os.close(rope)
        os.close(bell)
        os.close(seizing)
        tracer.outcome()
