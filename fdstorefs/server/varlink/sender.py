"""The sender of a message: a subject made from what the kernel attached to it.

Uid, gid and pid were true when the message was sent. Supplementary groups and capabilities are looked up when
a decision asks for them, and that is later: the pid may belong to somebody else, or the process may have
executed a set-user-ID program since and so gained what it did not have. So they count only
- for the process that made the connection, held by a pidfd, while it has not ended,
- and while all its uids are the one that the message was sent with.
Every other sender is its uid and gid alone.
"""

import errno
import os
import socket
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fdstorefs.core.subject import NOTHING_MORE, Credentials, Subject
from fdstorefs.host import procfs
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.ancillary import SO_PEERPIDFD, UCRED


class _Whoever(NamedTuple):
    """What all subjects have in common whose messages came with the same credentials."""

    pid: int
    uid: int
    gid: int
    known: bool
    look_up: Callable[[], Credentials]


class Sender:
    """Makes the subjects of one connection."""

    def __init__(self, connected: socket.socket, subjects: Subjects) -> None:
        self._socket = connected
        self._subjects = subjects
        peer = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        self.pid, self.uid, _ = UCRED.unpack(peer)
        self._latest_credentials = peer
        self._latest = self._meet(peer)
        # A newer kernel can name the process that connected at any time. An older one knows only its number,
        # which is turned into a pidfd while the connection is fresh.
        self._pidfd = None if kernel_knows_peer_pidfds() else _pidfd_of(self.pid)

    def subject(self, credentials: bytes) -> Subject:
        """The subject behind a `struct ucred`. A new one each time: what is looked up is kept in it."""
        if credentials != self._latest_credentials:
            self._latest = self._meet(credentials)
            self._latest_credentials = credentials
        latest = self._latest
        return Subject(latest.uid, latest.gid, latest.pid, known=latest.known, look_up=latest.look_up)

    def _meet(self, credentials: bytes) -> "_Whoever":
        pid, uid, gid = UCRED.unpack(credentials)
        known = self._subjects.subject(pid, uid, gid).known
        return _Whoever(pid, uid, gid, known, lambda: self._look_up(pid, uid))

    def _look_up(self, pid: int, uid: int) -> Credentials:
        pidfd = self._hold_process()
        if pidfd is None or pid != self.pid:
            return NOTHING_MORE
        try:
            task = procfs.read_task_checked(pid, pidfd)
        except (ProcessLookupError, PermissionError):
            return NOTHING_MORE
        if task.uids != (uid, uid, uid, uid):
            return NOTHING_MORE
        return self._subjects.credentials_of(task)

    def _hold_process(self) -> int | None:
        if self._pidfd is None and kernel_knows_peer_pidfds():
            try:
                self._pidfd = self._socket.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
            except OSError:
                return None  # it has ended, or we are out of descriptors
        return self._pidfd

    def close(self) -> None:
        """Let go of the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


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
