"""A process of which any thread is traced when it is to be guarded is not."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from fdstorefs.enforcer import caller
from fdstorefs.enforcer.caller import require_untraced
from fdstorefs.enforcer.process import look_at
from fdstorefs.errors import NoSuchProcess, NotPermitted

_LIBC = ctypes.CDLL(None, use_errno=True)
_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


class Suspect(NamedTuple):
    """A process with two threads."""

    pid: int
    thread: int
    pidfd: int


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    """One that waits to be killed."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        os.write(tell, str(thread.native_id).encode())
        threading.Event().wait()
    pidfd = os.pidfd_open(pid)
    yield Suspect(pid, int(os.read(told, 20)), pidfd)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    for fd in (told, tell, pidfd):
        os.close(fd)


@contextmanager
def traced(task: int) -> Iterator[None]:
    """Trace a thread in the block."""
    assert 0 == _LIBC.ptrace(_SEIZE, task, None, None)
    try:
        yield
    finally:
        _LIBC.ptrace(_INTERRUPT, task, None, None)
        os.waitpid(task, _WALL)
        _LIBC.ptrace(_DETACH, task, None, None)


def ask(suspect: Suspect) -> None:
    """Require that nobody traces it."""
    require_untraced(look_at(suspect.pid, suspect.pidfd)[0], suspect.pidfd)


@pytest.mark.parametrize("which", ["pid", "thread"])
def test_each_thread_is_looked_at(suspect: Suspect, which: str) -> None:
    """All of them have its descriptors and its memory. Once the tracer has let go it may be guarded."""
    refused = pytest.raises(NotPermitted, match=f"process {suspect.pid} is traced by process {os.getpid()}")
    with traced(getattr(suspect, which)), refused:
        ask(suspect)

    ask(suspect)


def test_more_threads_than_can_be_looked_at(suspect: Suspect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is to wait for that."""
    monkeypatch.setattr(caller, "MOST_THREADS", 1)

    with pytest.raises(NotPermitted, match="has more than 1 threads"):
        ask(suspect)


def test_one_that_has_ended(suspect: Suspect) -> None:
    """There is nothing to guard."""
    found, _ = look_at(suspect.pid, suspect.pidfd)
    os.kill(suspect.pid, 9)
    os.waitid(os.P_PID, suspect.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises((NoSuchProcess, ProcessLookupError)):
        require_untraced(found, suspect.pidfd)
