"""Facts about the process behind a request, read from the kernel when a decision asks for them.

A request says with which ids it was made; what else is true of the process is read later, when the process may
have become somebody else by executing a program. Reading is followed by a look at whether it still has the
ids of its request, and what it had become does not count.
"""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from fdstorefs.core.subject import FourIds, ProcessDetails, Userns
from fdstorefs.host import procfs
from fdstorefs.host import task as tasks
from fdstorefs.host.cgroups import find_hierarchy, number_of
from fdstorefs.host.task import Status, Task
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace

MOST_HELD, MOST_HELD_OF_ONE = 256, 64
"""How many user namespaces other than ours are held at a time, each by a descriptor: in all, and of one maker."""

_ROOT = 0

T = TypeVar("T")


class Home:
    """What the instance knows of itself: its user namespace, and the ids that have a meaning there."""

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most_held = most_held
        self._link = Task(os.getpid()).namespace("user")
        self.userns: Userns = (tasks.namespace_number(self._link),)
        # Where our own map covers every id, 65534 is a user like any other; elsewhere it means "somebody else".
        self._stranger = None if procfs.identity_is_whole("uid") else procfs.overflow_uid()
        self._strange_group = None if procfs.identity_is_whole("gid") else procfs.overflow_gid()
        self._strange_group_is_mapped = self._is_mapped(self._strange_group)
        self._hierarchy = find_hierarchy(procfs.mounts())
        self._held: WeakValueDictionary[int, HeldNamespace] = WeakValueDictionary()

    @staticmethod
    def _is_mapped(gid: int | None) -> bool:
        return gid is not None and any(
            mapped.inside <= gid < mapped.inside + mapped.count for mapped in procfs.id_map("gid")
        )

    def knows_uid(self, uid: int) -> bool:
        """Whether this uid is one user, and not whoever has no number here."""
        return uid != self._stranger

    def groups(self, gid: int, groups: tuple[int, ...]) -> frozenset[int] | None:
        """All groups of a process that have a number here. None if one may be either such or a strange one."""
        found = frozenset((gid, *groups))
        if self._strange_group not in found:
            return found
        return None if self._strange_group_is_mapped else found - {self._strange_group}

    def userns_of(self, task: Task) -> Userns:
        """The user namespace of a task. Raises OSError where it cannot be told."""
        link = task.namespace("user")
        if link == self._link:
            return self.userns
        # A namespace that is held has its number for itself.
        held = self._held.get(tasks.namespace_number(link))
        return self._hold(task) if held is None else HeldChain(held)

    def _hold(self, task: Task) -> Userns:
        found = HeldNamespace(task.open_user_namespace())
        if not self._has_room(found):
            return found.numbers
        return HeldChain(self._held.setdefault(found.numbers[0], found))

    def hold_again(self, found: HeldNamespace) -> HeldChain:
        """One that was held before this server began."""
        return HeldChain(self._held.setdefault(found.numbers[0], found))

    def _has_room(self, found: HeldNamespace) -> bool:
        if len(self._held) >= self._most_held:
            return False
        maker = self._maker(found)
        return sum(self._maker(held) == maker for held in self._held.values()) < min(
            MOST_HELD_OF_ONE, self._most_held
        )

    def _maker(self, held: HeldNamespace) -> tuple[str, int]:
        """Whose namespace it counts as: that of whoever made the one just below ours that it is or is in.

        A user may have any number of uids further in. What root made are containers, each for itself.
        """
        outermost = -2 if held.numbers[-1:] == self.userns and len(held.numbers) > 1 else -1
        owner = held.owners[outermost]
        return ("container", held.numbers[outermost]) if owner == _ROOT else ("uid", owner)

    def may_be_recorded(self, userns: Userns | None) -> bool:
        """Whether these numbers will still be this namespace's when its processes are gone."""
        return userns == self.userns or isinstance(userns, HeldChain)

    def capabilities(self, effective: int, userns: Userns | None) -> int | None:
        """What capabilities in a user namespace are over ours: the same in ours itself, none from below."""
        if userns is None or userns[-1] != self.userns[0]:
            return None
        return effective if userns == self.userns else 0

    def details(self, task: Task, status: Status, userns: Userns | None) -> ProcessDetails:
        """All that the audit log tells of a task. Raises OSError if it has ended."""
        command, start_time = task.name_and_start()
        cgroup = told(task.cgroup)
        mntns = told(lambda: task.namespace("mnt"))
        return ProcessDetails(
            pid=status.tgid,
            tid=task.tid,
            start_time=start_time,
            comm=command,
            exe=told(task.program),
            uids=status.uids,
            gids=status.gids,
            groups=status.groups,
            cap_effective=status.cap_effective,
            # Kept for records that are yet to be made, which must not hold it.
            userns=None if userns is None else tuple(userns),
            mntns=None if mntns is None else tasks.namespace_number(mntns),
            cgroup=None if cgroup is None else cgroup.path,
            cgroup_id=None if cgroup is None else number_of(cgroup, self._hierarchy),
            read_at=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        )


class KernelFacts(ABC):
    """The facts about one task for one request (the core's `Facts`). What several need is read once."""

    __slots__ = ("_gid", "_home", "_status", "_task", "_uid")

    def __init__(self, home: Home, task: Task, uid: int, gid: int) -> None:
        self._home = home
        self._task = task
        self._uid = uid
        self._gid = gid
        self._status: Status | None = None

    @abstractmethod
    def _are_its(self, uids: FourIds) -> bool:
        """Whether a process with these uids is who made the request, so that its groups count."""

    @abstractmethod
    def _still_asks(self) -> bool:
        """Whether the process, at this moment, is who made the request. Raises OSError."""

    def groups(self) -> frozenset[int] | None:
        """Its groups, if it is still who asked."""
        status = told(self._checked_status)
        return None if status is None else self._home.groups(self._gid, status.groups)

    def capabilities(self) -> int | None:
        """Its capabilities over the instance, if it is still who asked."""
        status = told(self._checked_status)
        if status is None:
            return None
        return self._home.capabilities(status.cap_effective, self.userns())

    def userns(self) -> Userns | None:
        """Its user namespace, if it is still who asked."""
        # Every request may ask this, and most do: without calls that others can afford.
        try:
            found = self._home.userns_of(self._task)
            return found if self._still_asks() else None
        except OSError:
            return None

    def cgroup(self) -> str | None:
        """Its cgroup, if it is still who asked."""
        try:
            place = self._task.cgroup()
            return place.path if place is not None and self._still_asks() else None
        except OSError:
            return None

    def details(self) -> ProcessDetails | None:
        """The process as it is now, whoever's rights it has by now: the ids are part of it."""
        return told(self._details)

    def _details(self) -> ProcessDetails:
        userns = told(lambda: self._home.userns_of(self._task))
        return self._home.details(self._task, self._task.status(), userns)

    def _checked_status(self) -> Status | None:
        if self._status is None:
            self._status = self._task.status()
        return self._status if self._are_its(self._status.uids) else None


def told(read: Callable[[], T | None]) -> T | None:
    """What is read; None where it cannot be: the process has ended or is hidden, or we are out of descriptors."""
    try:
        return read()
    except OSError:
        return None
