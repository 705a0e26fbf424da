"""Processes that servers are: what the kernel says of one, held so that it cannot become another.

Everything is read as the initial user namespace has it.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fdstorefs.bpf.rows import IdMap
from fdstorefs.enforcer.id_maps import Extents, extents_of
from fdstorefs.errors import NoSuchProcess, NotPermitted, QuotaExceeded
from fdstorefs.host import procfs
from fdstorefs.host.mount_table import MountTable
from fdstorefs.host.readable import becomes_readable
from fdstorefs.host.task import Status, Task
from fdstorefs.host.user_namespaces import HeldNamespace

T = TypeVar("T")

CAP_SYS_ADMIN = 21
MOST_MOUNTINFO = 1 << 20
"""Bytes of a server's mount table, some 8,000 mounts. A user namespace can have so many that to read them takes
seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """One process as it was when it was looked at. Its user namespace is held.

    `uid` is the host's, and `start` in clock ticks since boot. `capabilities` are effective, over its own user
    namespace. `cgroup` is its path on the host, None if it is in none that could be named.
    """

    pid: int
    start: int
    command: str
    uid: int
    gid: int
    groups: frozenset[int]
    capabilities: int
    userns: HeldNamespace
    uid_extents: Extents
    gid_extents: Extents
    cgroup: str | None

    @property
    def uids(self) -> IdMap:
        """Between the uids of its user namespace and the host's."""
        return IdMap(self.uid_extents)

    @property
    def gids(self) -> IdMap:
        """Likewise for gids."""
        return IdMap(self.gid_extents)

    @property
    def inner_uid(self) -> int | None:
        """Its uid in its own user namespace."""
        return self.uids.to_instance(self.uid)

    @property
    def is_privileged(self) -> bool:
        """Whether it may do everything in its own user namespace."""
        return bool(self.capabilities >> CAP_SYS_ADMIN & 1)


def look_at(pid: int, pidfd: int) -> tuple[Process, MountTable]:
    """The process behind `pidfd`, whose number is `pid`, and its mounts. Takes a while if these are many.

    Raises NoSuchProcess if it has ended, NotPermitted if it is more than one user, QuotaExceeded if it has so many
    mounts that it would take too long.
    """
    # Read by number, so it counts only if the process still has it.
    return _as_long_as_it_is_there(pid, pidfd, lambda task: (_read(task), _mounts(pid)))


def process_behind(pid: int, pidfd: int) -> Process:
    """The same without its mounts, which takes no time."""
    return _as_long_as_it_is_there(pid, pidfd, _read)


def _as_long_as_it_is_there(pid: int, pidfd: int, read: Callable[[Task], T]) -> T:
    try:
        task = Task.hold(pid, pidfd)
    except OSError as error:
        raise _gone(pid) from error
    try:
        found = read(task)
        procfs.check_pidfd(pidfd, pid)
    except OSError as error:
        # What nobody has waited for yet is half there: its mount table is `invalid`, for one.
        if has_ended(pidfd):
            raise _gone(pid) from error
        raise
    finally:
        task.close()
    if has_ended(pidfd):
        raise _gone(pid)
    return found


def _mounts(pid: int) -> MountTable:
    try:
        return procfs.mounts(pid, MOST_MOUNTINFO)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise QuotaExceeded(
            f"process {pid} has too many mounts: its mount table takes more than {MOST_MOUNTINFO} bytes",
            hint="serve in a mount namespace with fewer of them",
        ) from error


def has_ended(pidfd: int) -> bool:
    """Whether the process behind a pidfd has ended, waited for or not."""
    return becomes_readable(pidfd, 0)


def number_behind(pidfd: int) -> int:
    """The process id behind a pidfd; NoSuchProcess if it has ended or the descriptor is no pidfd."""
    found = int(procfs.fdinfo_field(procfs.fdinfo(pidfd), "Pid"))
    if found <= 0:
        raise NoSuchProcess("the process has ended")
    return found


def _read(task: Task) -> Process:
    status = task.status()
    command, start = task.name_and_start()
    place = task.cgroup()
    return Process(
        pid=status.tgid,
        start=start,
        command=command,
        uid=_one_uid(status),
        gid=status.gids[1],
        groups=frozenset((status.gids[1], *status.groups)),
        capabilities=status.cap_effective,
        userns=HeldNamespace(task.open_user_namespace()),
        uid_extents=extents_of("uid", task.tid),
        gid_extents=extents_of("gid", task.tid),
        cgroup=None if place is None else place.path,
    )


def _one_uid(status: Status) -> int:
    uids = set(status.uids)
    if len(uids) != 1:
        raise NotPermitted(
            f"process {status.tgid} runs with several uids: {', '.join(map(str, sorted(uids)))}",
            hint="serve as one user",
        )
    return uids.pop()


def _gone(pid: int) -> NoSuchProcess:
    return NoSuchProcess(f"process {pid} has ended")


def pidfd_of(pid: int) -> int | None:
    """A new pidfd of whoever has this number now; None if nobody does."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
