"""Subjects: who is behind a request, from what the kernel attached to it."""

from collections.abc import Callable

from fdstorefs.core.node import Stasher
from fdstorefs.core.subject import NOTHING_TOLD, Facts, FourIds, Subject, Userns
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host import procfs
from fdstorefs.host.task import Task
from fdstorefs.server.kernel_facts import MOST_HELD, Home, KernelFacts

FILE_SYSTEM = 3
"""Which of a task's four uids a request through the mount carries."""


class ThreadFacts(KernelFacts):
    """The facts about a thread that waits for our answer.

    While it waits in the kernel it can neither execute a program nor end, so its number is its own. But
    somebody else may act in its name (a file system stacked on the mount), with his own uid: then its facts
    don't count.
    """

    __slots__ = ()

    def _are_its(self, uids: FourIds) -> bool:
        return uids[FILE_SYSTEM] == self._uid

    def _still_asks(self) -> bool:
        # The file-system uid is another than the effective one in few programs, and costs more to read.
        return self._task.effective_uid() == self._uid or self._checked_status() is not None


def _not_wanted() -> bool:
    return False


class Subjects:
    """Makes the core's subjects. Uids are those of the server's user namespace, which is the instance's.

    `capabilities_wanted` says whether a policy asks for those of stashers. Of their user namespaces no more than
    `most_namespaces` are held.
    """

    def __init__(self, most_namespaces: int = MOST_HELD) -> None:
        self.home = Home(most_namespaces)
        self.capabilities_wanted: Callable[[], bool] = _not_wanted
        self._latest = Stasher(0, 0, 0)

    @property
    def userns(self) -> Userns:
        """The instance's own user namespace."""
        return self.home.userns

    def subject(self, pid: int, uid: int, gid: int) -> Subject:
        """The subject with these ids; `pid` is a process or thread id, 0 if it cannot be seen from here.

        The task must be waiting for our answer: its facts are read by its number.
        """
        return Subject(
            uid,
            gid,
            pid,
            known=self.home.knows_uid(uid),
            look_up=lambda: self._look_up(pid, uid, gid),
        )

    def _look_up(self, pid: int, uid: int, gid: int) -> Facts:
        return ThreadFacts(self.home, Task(pid), uid, gid) if pid else NOTHING_TOLD

    def stasher(self, subject: Subject, *, with_capabilities: bool = False) -> Stasher:
        """The record of who stashed, or made a box; the same one again for a process that stashes many.

        Capabilities cost as much again as all the rest, so they are recorded on request, or while they are
        wanted of all. QuotaExceeded where so many other user namespaces are on record that this one cannot be.
        """
        userns = subject.userns
        if userns is not None and not self.home.may_be_recorded(userns):
            raise QuotaExceeded(
                f"uid {subject.uid} stashes from a user namespace, and there are entries of as many others as one "
                "user, or the instance, may have",
                hint="discard what was stashed from user namespaces that are not needed any more",
            )
        made = Stasher(
            subject.pid,
            subject.uid,
            subject.gid,
            self._command(subject.pid),
            userns,
            subject.capabilities if with_capabilities or self.capabilities_wanted() else None,
            subject.known,
        )
        if made == self._latest:
            return self._latest
        # A record of another user namespace holds it, and may do so for as long as there is an entry only.
        if userns is None or userns == self.userns:
            self._latest = made
        return made

    @staticmethod
    def _command(pid: int) -> str | None:
        if not pid:
            return None
        try:
            return procfs.command(pid)
        except (ProcessLookupError, PermissionError):
            return None
