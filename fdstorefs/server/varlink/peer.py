"""The peer: the process that made a connection, and which facts about it count for a message that it sent.

Uid, gid and pid were true when the message was sent. Everything else is looked up when a decision asks for it,
and that is later: the pid may belong to somebody else, or the process may have executed a program since that
has rights of its own, while the connection is still in the hands of whoever sent the message. So facts count
only for the process that made the connection, held, and not once it has ended and been waited for. And

- groups, while all four uids are the one that the message was sent with. That tells a set-user-ID program.
- capabilities, while in addition the process is dumpable, or its uid is 0. A program with file capabilities
  keeps all uids, and any user can execute one (`ping`); but as long as it doesn't choose otherwise it is not
  dumpable. The price: a process that got its capabilities in this way before it sent the message, or that has
  changed its uid and executed nothing since, has unknown ones. Of root no such thing is asked, since root gains
  capabilities by executing whatever it likes.
- user namespace and cgroup, while the effective uid is the one that the message was sent with. Executing
  changes neither. What the process itself has changed since it could have changed before it sent, and both are
  told as they are now; but not what a set-user-ID program has changed.

They are those of the main thread, whichever thread sent: the kernel doesn't say. Threads share their memory,
so what one of them may do all of them can.
"""

import errno
import os
import socket
import time
from functools import cache
from typing import NamedTuple

from fdstorefs.core.subject import FourIds, ProcessDetails
from fdstorefs.host.task import Task
from fdstorefs.server.kernel_facts import Home, KernelFacts, told
from fdstorefs.server.varlink.ancillary import SO_PEERPIDFD

DETAILS_AGE_NS = 1_000_000_000
"""How old may be what the audit log tells of a process."""


class HeldPeer(NamedTuple):
    """What another server has held a process by: a pidfd, or its directory in /proc, or nothing."""

    pidfd: int | None
    directory: int | None


class Peer:
    """The process that made a connection.

    It is held by a pidfd, and from the first question on by its directory in /proc and its cgroup file there:
    two descriptors at most. A newer kernel can name the process at any time. An older one knows only its
    number, which is turned into a pidfd while the connection is fresh.
    """

    def __init__(self, connected: socket.socket, pid: int, held: HeldPeer | None = None) -> None:
        self.pid = pid
        self._socket = connected
        self._task: Task | None = None
        if held is None:
            self._pidfd = None if kernel_knows_peer_pidfds() else _pidfd_of(pid)
        else:
            self._pidfd = held.pidfd
            self._task = Task(pid, held.directory) if held.directory is not None else None

    @property
    def held(self) -> HeldPeer:
        """What it is held by at this moment."""
        return HeldPeer(self._pidfd, self._task.directory if self._task is not None else None)

    def task(self) -> Task | None:
        """The process; None if it has ended or cannot be seen. One that is given may end at any time."""
        if self._task is None:
            self._task = self._hold()
        return self._task

    def _hold(self) -> Task | None:
        if self._pidfd is None:
            self._pidfd = self._ask_for_pidfd()
        if self._pidfd is None:
            return None
        try:
            task = Task.hold(self.pid, self._pidfd)
        except OSError:
            return None  # it has ended, or is hidden, or we are out of descriptors
        self._let_go_of_pidfd()
        return task

    def _ask_for_pidfd(self) -> int | None:
        if not kernel_knows_peer_pidfds():
            return None
        try:
            return self._socket.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
        except OSError:
            return None  # it has ended, or we are out of descriptors

    def _let_go_of_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def close(self) -> None:
        """Let go of it."""
        self._let_go_of_pidfd()
        if self._task is not None:
            self._task.close()
            self._task = None


class LatestDetails:
    """The last look at a process for the audit log; kept for as long as its messages carry the same ids."""

    __slots__ = ("details",)

    def __init__(self) -> None:
        self.details: ProcessDetails | None = None


class PeerFacts(KernelFacts):
    """The facts about the process that made the connection, for one message of it."""

    __slots__ = ("_latest",)

    def __init__(self, home: Home, task: Task, uid: int, gid: int, latest: LatestDetails) -> None:
        super().__init__(home, task, uid, gid)
        self._latest = latest

    def _are_its(self, uids: FourIds) -> bool:
        uid = self._uid
        return uids == (uid, uid, uid, uid)

    def _still_asks(self) -> bool:
        return self._task.effective_uid() == self._uid

    def capabilities(self) -> int | None:
        """Its capabilities over the instance, if it is still who asked and did not get them from a program."""
        found = super().capabilities()
        if not found:
            return found
        # Looked at last: whatever it has executed before its capabilities were read shows here.
        return found if told(self._owns_its_files) else None

    def _owns_its_files(self) -> bool:
        return self._task.owner_of_files() == self._uid

    def details(self) -> ProcessDetails | None:
        """The process as it was at most a second ago."""
        latest = self._latest.details
        if latest is None or time.clock_gettime_ns(time.CLOCK_BOOTTIME) - latest.read_at > DETAILS_AGE_NS:
            latest = self._latest.details = super().details()
        return latest


@cache
def kernel_knows_peer_pidfds() -> bool:
    """Whether SO_PEERPIDFD exists (Linux 6.5)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        try:
            os.close(ours.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
        except OSError as error:
            return error.errno != errno.ENOPROTOOPT
        return True


def _pidfd_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
