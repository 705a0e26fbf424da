"""An instance that nobody asked for, started and ended before all others: it shows which code they will execute."""

import logging
import os
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from fdstorefs.containers.container import Container
from fdstorefs.containers.keeping import READY, become, to_keep
from fdstorefs.containers.options import MOUNT
from fdstorefs.containers.record import Process, Record, Records
from fdstorefs.host import procfs, syscalls
from fdstorefs.server.namespaces import enter_new_user_namespace
from fdstorefs.server.options import ServeOptions, to_json

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How long it may take to serve, and to end."""

_ADDRESS = struct.Struct("Q")
_STDIN, _STDERR = 0, 2


def rehearse(records: Records, socket: str) -> frozenset[int]:
    """The ids of the code objects that keeper and server of an instance execute. None where none can be started here.

    Whoever calls it has one thread, and has loaded all that they need.
    """
    try:
        return _rehearse(records, socket)
    except OSError as error:
        log.debug("no instance can be rehearsed: %s", error)
        return frozenset()


def _rehearse(records: Records, socket: str) -> frozenset[int]:
    inside = _fork(_be_container)
    try:
        _await(inside.pipe, b"ready\n")
        held = _hold(inside.pid, inside.pidfd)
        report, its_report = os.pipe()
        try:
            keeper = _fork(lambda pipe: _be_keeper(records, socket, inside.pid, held, its_report, pipe))
            os.close(its_report)
            _follow(keeper, inside)
            return _reported(report)
        finally:
            os.close(report)
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
    if not select.select([pipe], [], [], SECONDS)[0] or os.read(pipe, 4096) != word:
        raise OSError("a process does not begin")


def _be_container(pipe: int) -> NoReturn:
    enter_new_user_namespace(map_root=True)
    # So that the mount point is made nowhere else.
    syscalls.mount("tmpfs", os.path.dirname(MOUNT), "tmpfs")
    os.write(pipe, b"ready\n")
    while True:
        signal.pause()


def _hold(pid: int, pidfd: int) -> Container:
    users, mounts = (procfs.open_namespace(kind, pid) for kind in ("user", "mnt"))
    return Container(os.dup(pidfd), users, mounts, procfs.open_root(pid))


def _be_keeper(
    records: Records, socket: str, first: int, held: Container, report: int, pipe: int
) -> NoReturn:
    # A keeper closes all but the standard streams; and what it says is of no interest.
    os.dup2(report, _STDIN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    options = to_json(ServeOptions(MOUNT, enforcement="daemon"))
    numbers = held.user_namespace, held.mount_namespace
    itself = Process.of(os.getpid())
    message = to_keep(Record(MOUNT, os.geteuid(), *numbers, Process.of(first), options, itself))
    seen: set[int] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        address = id(frame.f_code)
        if event == "call" and address not in seen:
            seen.add(address)
            os.write(_STDIN, _ADDRESS.pack(address))

    threading.setprofile(note)
    sys.setprofile(note)
    become(records, socket, message, (*held.descriptors, pipe))


def _follow(keeper: _Child, inside: _Child) -> None:
    """Until the instance has served, and ended because its container has."""
    try:
        _await(keeper.pipe, READY)
        inside.end()
        if not select.select([keeper.pidfd], [], [], SECONDS)[0]:
            raise OSError("the instance does not end")
    finally:
        keeper.end()


def _reported(pipe: int) -> frozenset[int]:
    said = b""
    while part := os.read(pipe, 65536):
        said += part
    return frozenset(address for (address,) in _ADDRESS.iter_unpack(said))
