"""The caller: the process that made a connection. Nobody else may send on it."""

import os
import socket
import time

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.enforcer.process import Process, look_at, pidfd_of
from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.host import procfs
from fdstorefs.host.mount_table import MountTable
from fdstorefs.host.task import Task
from fdstorefs.server.varlink.ancillary import SO_PEERPIDFD, UCRED
from fdstorefs.server.varlink.peer import kernel_knows_peer_pidfds

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Caller:
    """Who connected. `instance` is the number of the one it has registered on this connection.

    A kernel before 6.5 tells a number only. It is turned into a pidfd while the connection is fresh, and a process that
    began later than it was accepted is somebody else who was given the number again.
    """

    def __init__(self, connected: socket.socket) -> None:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        self.pid, self.uid, self.gid = UCRED.unpack(credentials)
        self.instance: int | None = None
        self._accepted = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._pidfd = _pidfd(connected, self.pid)

    @property
    def is_root(self) -> bool:
        """Whether it is root of the host."""
        return bool(self.uid == 0)

    def require_sender(self, credentials: bytes) -> None:
        """Raise NotPermitted for a message of somebody else: who was given the connection is not the caller."""
        pid, uid, _ = UCRED.unpack(credentials)
        if (pid, uid) != (self.pid, self.uid):
            raise NotPermitted(
                f"process {pid} (uid {uid}) speaks on a connection of process {self.pid} (uid {self.uid})",
                hint="connect yourself",
            )

    def look(self) -> tuple[Process, MountTable, int]:
        """The process, its mounts, and a new pidfd of it. Raises NoSuchProcess, NotPermitted."""
        if self._pidfd is None:
            raise NoSuchProcess(f"process {self.pid} has ended")
        process, mounts = look_at(self.pid, self._pidfd)
        if process.start / TICKS_PER_SECOND > self._accepted:
            raise NoSuchProcess(f"process {self.pid} has ended, and another has its number")
        if process.uid != self.uid:
            raise NotPermitted(
                f"process {self.pid} connected as uid {self.uid} and is uid {process.uid} now",
                hint="connect anew",
            )
        return process, mounts, os.dup(self._pidfd)

    def mark(self, subject: Subject) -> Stasher:
        """Who it was that asked, for the record."""
        try:
            command: str | None = procfs.command(self.pid)
        except OSError:
            command = None
        return Stasher(subject.pid, subject.uid, subject.gid, command)

    def close(self) -> None:
        """Let go of it."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _pidfd(connected: socket.socket, pid: int) -> int | None:
    if not kernel_knows_peer_pidfds():
        return pidfd_of(pid)
    try:
        return connected.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return None  # it has ended, or we are out of descriptors


def require_untraced(process: Process, pidfd: int) -> None:
    """Raise NotPermitted if somebody traces the process, who was there before it was guarded."""
    task = Task.hold(process.pid, pidfd)
    try:
        tracer = task.tracer()
    finally:
        task.close()
    if tracer:
        raise NotPermitted(
            f"process {process.pid} is traced by process {tracer}, who could take what it holds",
            hint="end the debugger first",
        )
