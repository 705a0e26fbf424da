"""Subjects: who is behind a request, from what the kernel attached to it."""

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import NOTHING_MORE, Credentials, Subject
from fdstorefs.host import procfs
from fdstorefs.host.procfs import TaskFacts

FILE_SYSTEM = 3
"""Which of a task's four uids a request through the mount carries."""


class Subjects:
    """Makes the core's subjects. Uids are those of the server's user namespace, which is the instance's."""

    def __init__(self) -> None:
        # Where our own map covers every id, 65534 is a user like any other; elsewhere it means "somebody else".
        self._stranger = None if procfs.identity_is_whole() else procfs.overflow_uid()
        self._userns = procfs.own_user_namespace()
        self._latest = Stasher(0, 0, 0)

    def subject(self, pid: int, uid: int, gid: int) -> Subject:
        """The subject with these ids; `pid` is a process or thread id, 0 if it cannot be seen from here."""
        return Subject(
            uid,
            gid,
            pid,
            known=uid != self._stranger,
            look_up=lambda: self._credentials(pid, uid),
        )

    def _credentials(self, pid: int, uid: int) -> Credentials:
        """Groups and capabilities of a task that waits for our answer, so that it is still what it was.

        Nothing more than its ids if it is gone or has other ids than its request.
        """
        if not pid:
            return NOTHING_MORE
        try:
            task = procfs.read_task(pid)
        except (ProcessLookupError, PermissionError):
            return NOTHING_MORE
        if uid != task.uids[FILE_SYSTEM]:
            return NOTHING_MORE
        return self.credentials_of(task)

    def credentials_of(self, task: TaskFacts) -> Credentials:
        """The groups of a task and, if it is in the instance's user namespace, its capabilities."""
        ours = task.userns is not None and task.userns == self._userns
        return Credentials(groups=task.groups, capabilities=task.cap_effective if ours else 0)

    def stasher(self, subject: Subject) -> Stasher:
        """The record of who stashed; the same one again for a process that stashes many."""
        made = Stasher(subject.pid, subject.uid, subject.gid, self._command(subject.pid))
        if made != self._latest:
            self._latest = made
        return self._latest

    @staticmethod
    def _command(pid: int) -> str | None:
        if not pid:
            return None
        try:
            return procfs.command(pid)
        except (ProcessLookupError, PermissionError):
            return None
