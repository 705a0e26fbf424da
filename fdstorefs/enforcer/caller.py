"""The caller: the process that made a connection, as the enforcer looks at it."""

import os
import socket
import time

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.enforcer.process import Process, has_ended, look_at
from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.host import procfs
from fdstorefs.host.mount_table import MountTable
from fdstorefs.host.task import Task
from fdstorefs.server.varlink.maker import Maker

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MOST_THREADS = 1024
"""Of a process that is to be guarded: each is looked at, while others wait."""


class Caller(Maker):
    """Who connected. `instance` is the number of the one it has registered on this connection, `start` when it
    began.

    A process that began later than it was accepted is somebody else who was given the number again.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.instance: int | None = None
        self.start: int | None = None
        self._accepted = time.clock_gettime(time.CLOCK_BOOTTIME)
        super().__init__(connected)

    @property
    def is_root(self) -> bool:
        """Whether it is root of the host."""
        return bool(self.uid == 0)

    def hold(self) -> int:
        """A new pidfd of the process. Raises NoSuchProcess."""
        return os.dup(self.pidfd)

    def look(self, pidfd: int) -> tuple[Process, MountTable]:
        """The process, which `hold` has given a pidfd of, and its mounts.

        It takes a while, and can be done in a thread even when the connection has ended. Raises NoSuchProcess,
        NotPermitted, QuotaExceeded.
        """
        process, mounts = look_at(self.pid, pidfd)
        if process.start / TICKS_PER_SECOND > self._accepted:
            raise NoSuchProcess(f"process {self.pid} has ended, and another has its number")
        if process.uid != self.uid:
            raise NotPermitted(
                f"process {self.pid} connected as uid {self.uid} and is uid {process.uid} now",
                hint="connect anew",
            )
        return process, mounts

    def mark(self, subject: Subject) -> Stasher:
        """Who it was that asked, for the record."""
        try:
            command: str | None = procfs.command(self.pid)
        except OSError:
            command = None
        return Stasher(subject.pid, subject.uid, subject.gid, command)


def require_untraced(process: Process, pidfd: int) -> None:
    """Raise NotPermitted if somebody traces a thread of the process, who was there before it was guarded.

    Ask when it has its role: then no further tracer can come, and a thread that was found untraced stays so. Raises
    OSError if the process has ended.
    """
    task = Task.hold(process.pid, pidfd)
    try:
        tracer = _tracer(task)
    finally:
        task.close()
    if has_ended(pidfd):
        raise NoSuchProcess(f"process {process.pid} has ended")
    if tracer:
        raise NotPermitted(
            f"process {process.pid} is traced by process {tracer}, who could take what it holds",
            hint="end the debugger first",
        )


def _tracer(task: Task) -> int:
    looked_at: set[int] = set()
    # A tracer has those threads too that the one it traces begins: until there is no new one.
    while new := task.threads() - looked_at:
        looked_at |= new
        if len(looked_at) > MOST_THREADS:
            raise NotPermitted(
                f"process {task.tid} has more than {MOST_THREADS} threads", hint="register while it has fewer"
            )
        for thread in new:
            tracer = _tracer_of(task, thread)
            if tracer:
                return tracer
    return 0


def _tracer_of(task: Task, thread: int) -> int:
    try:
        return task.tracer(thread)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # that one has ended
