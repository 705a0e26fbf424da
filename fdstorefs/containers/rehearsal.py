"""An instance that nobody asked for, started and ended before all others: it shows what they will execute."""

import logging
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, NoReturn

from fdstorefs.containers.container import Container
from fdstorefs.containers.keeping import READY, become, to_keep
from fdstorefs.containers.options import MOUNT
from fdstorefs.containers.record import Process, Record, Records
from fdstorefs.containers.scouting import Report
from fdstorefs.host import procfs, syscalls
from fdstorefs.host.readable import becomes_readable
from fdstorefs.server.namespaces import enter_new_user_namespace
from fdstorefs.server.options import ServeOptions, to_json

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How long it may take to serve, and to end."""

_CODES, _NAMES, _STDERR = range(3)
"""Standard streams, and what they lead to."""

_NOBODY = "/nowhere"
"""Where its server would ask for another keeper."""


def rehearse(report: Report) -> None:
    """Write down what keeper and server of an instance execute; nothing where none can be started.

    Whoever calls it has one thread.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="fdstorefs-") as scratch:
            records = Records(f"{scratch}/records")
            records.prepare()
            _rehearse(records, report)
    except OSError as error:
        log.debug("no instance can be rehearsed: %s", error)


def _rehearse(records: Records, report: Report) -> None:
    inside = _fork(_be_container)
    try:
        _await(inside.pipe, b"ready\n")
        held = _hold(inside.pid, inside.pidfd)
        try:
            _follow(_fork(lambda pipe: _be_keeper(records, inside.pid, held, report, pipe)), inside)
        finally:
            held.close()
    finally:
        inside.end()


class _Child:
    """A process of ours, and what it says."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.pipe = pipe
        self._has_ended = False

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Have it ended, if it has not, and let go of it."""
        if self._has_ended:
            return
        self._has_ended = True
        signal.pidfd_send_signal(self.pidfd, how)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        os.close(self.pipe)


def _fork(act: Callable[[int], object]) -> _Child:
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            act(its)
        finally:
            os._exit(1)
    os.close(its)
    return _Child(pid, ours)


def _await(pipe: int, word: bytes) -> None:
    """Raises OSError if something else is said, or nothing for too long."""
    if not becomes_readable(pipe, SECONDS) or os.read(pipe, 4096) != word:
        raise OSError("a process does not begin")


def _be_container(pipe: int) -> NoReturn:
    enter_new_user_namespace(map_root=True)
    # So that the mount point is made nowhere else.
    syscalls.mount("tmpfs", os.path.dirname(MOUNT), "tmpfs")
    os.write(pipe, b"ready\n")
    # Until who has forked this ends it, or is no more.
    reader = select.poll()
    reader.register(pipe, 0)
    reader.poll()
    os._exit(0)


def _hold(pid: int, pidfd: int) -> Container:
    users, mounts = (procfs.open_namespace(kind, pid) for kind in ("user", "mnt"))
    return Container(os.dup(pidfd), users, mounts, procfs.open_root(pid))


def _be_keeper(records: Records, first: int, held: Container, report: Report, pipe: int) -> NoReturn:
    # A keeper closes all but the standard streams; and what it says is of no interest.
    kept = report.moved_to(_CODES, _NAMES)
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    options = to_json(ServeOptions(MOUNT, enforcement="daemon"))
    numbers = held.user_namespace, held.mount_namespace
    itself = Process.of(os.getpid())
    message = to_keep(Record(MOUNT, os.geteuid(), *numbers, Process.of(first), options, itself))
    codes: set[int] = set()
    names: set[str] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and id(code) not in codes:
            codes.add(id(code))
            new = [name for name in dict.fromkeys(_names(code)) if name not in names]
            names.update(new)
            kept.add(hash(code), new)

    threading.setprofile(note)
    sys.setprofile(note)
    become(records, _NOBODY, message, (*held.descriptors, pipe))


def _names(code: CodeType) -> Iterator[str]:
    """Those that CPython has once for all code: of variables and attributes, and constants that look like them."""
    yield from (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars)
    for constant in code.co_consts:
        for each in constant if type(constant) is tuple else (constant,):
            if type(each) is str and each.isascii() and each.isidentifier():
                yield each


def _follow(keeper: _Child, inside: _Child) -> None:
    """Until the instance has served, and ended because its container has."""
    try:
        _await(keeper.pipe, READY)
        inside.end()
        if not becomes_readable(keeper.pidfd, SECONDS):
            raise OSError("the instance does not end")
    finally:
        keeper.end()
