"""A container, held: its namespaces, its root directory, and the process that it ends with."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from fdstorefs.containers.errors import HostError
from fdstorefs.errors import BadDescriptor, NoSuchProcess, StoreError
from fdstorefs.host import procfs, syscalls
from fdstorefs.host.file_kind import Kind, classify
from fdstorefs.host.readable import becomes_readable
from fdstorefs.host.task import Task
from fdstorefs.host.user_namespaces import outermost
from fdstorefs.server.mounting import MountError, open_device

_FIRST = 1
"""The number of a pid namespace's first process, in it: when that ends, all others do."""


@dataclass(frozen=True, slots=True)
class Container:
    """Descriptors: a pidfd of the process that it `ends` with, its user and mount namespaces, its root directory."""

    ends: int
    users: int
    mounts: int
    root: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them, as `of` takes them."""
        return (self.ends, self.users, self.mounts, self.root)

    @classmethod
    def of(cls, descriptors: tuple[int, ...]) -> "Container":
        """What `descriptors` has given."""
        return cls(*descriptors)

    def with_root(self, directory: int) -> "Container":
        """The same with another root directory, of which a copy is made; the former is let go."""
        os.close(self.root)
        return replace(self, root=os.dup(directory))

    @property
    def has_ended(self) -> bool:
        """Whether its last moment has come."""
        return becomes_readable(self.ends, 0)

    @property
    def user_namespace(self) -> int:
        """The number of its user namespace, nobody else's for as long as this is held; 0 if that is none."""
        return _number(self.users)

    @property
    def outermost(self) -> int:
        """The number of the user namespace just below our own that its own is, or is in: one for all that it makes."""
        return outermost(os.dup(self.users))

    @property
    def mount_namespace(self) -> int:
        """Likewise of its mount namespace."""
        return _number(self.mounts)

    def require_sound(self) -> None:
        """Raise BadDescriptor unless each is what it should be: none holds up who looks at it or closes it."""
        if classify(self.ends).kind is not Kind.PIDFD:
            raise BadDescriptor("what a container ends with is not a pidfd")
        if {classify(each).kind for each in (self.users, self.mounts)} != {Kind.NAMESPACE}:
            raise BadDescriptor("a container's namespaces are not namespaces")
        require_root_directory(self.root)

    def ends_with(self, pid: int) -> bool:
        """Whether the process that it ends with has this number, and runs."""
        try:
            procfs.check_pidfd(self.ends, pid)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of it."""
        for descriptor in self.descriptors:
            os.close(descriptor)

    def enter_users(self) -> int:
        """Become root of its user namespace, where it has one of its own, and return a connection to FUSE made there.

        The caller has one thread, and lets nobody but the host's root look into it from now on. Where that user
        namespace has no uid 0, its lowest is root. Raises MountError.
        """
        syscalls.set_dumpable(False)
        try:
            if os.geteuid() == 0:
                os.setgroups([])
            if os.fstat(self.users).st_ino != procfs.own_user_namespace():
                syscalls.setns(self.users, syscalls.CLONE_NEWUSER)
            # The kernel mounts what was opened in the very user namespace that it is to be mounted for.
            device = open_device()
            _become_root()
        except OSError as error:
            raise MountError(f"cannot enter the container's user namespace: {error.strerror}") from error
        # A change of ids may have undone it, or not.
        syscalls.set_dumpable(False)
        return device


def require_root_directory(descriptor: int) -> None:
    """Raise BadDescriptor unless it is a directory's path only: closing anything else may ask a file system."""
    found = classify(descriptor)
    if found.kind is not Kind.DIRECTORY or found.access != "path":
        raise BadDescriptor(
            "the root directory is not one, or not opened with O_PATH", hint="open it with O_PATH"
        )


def _become_root() -> None:
    uid, gid = _lowest("uid"), _lowest("gid")
    try:
        os.setgroups([])
    except PermissionError:
        # Whoever made this namespace was not to lose his groups, and so he still has those that are his own.
        pass
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _lowest(kind: str) -> int:
    mapped = procfs.id_map(kind)
    if not mapped:
        raise MountError(
            f"no {kind} is mapped in the container's user namespace", "ask when the container has been set up"
        )
    return min(each.inside for each in mapped)


def _number(namespace: int) -> int:
    # Of what somebody else has sent: his file system may never answer.
    found = syscalls.statx_cached(namespace)
    return found.ino if found.dev == procfs.namespaces_device() else 0


class Found(NamedTuple):
    """A container and the number of the process that it ends with, on the host."""

    container: Container
    pid: int


def hold(pid: int, pidfd: int, require: Callable[[int, int], None]) -> Found:
    """The container that a process is in; `pid` is its number here. The pidfd stays the caller's. Raises HostError.

    `require` raises StoreError for a user and a mount namespace with which the caller has nothing to do; before that no
    more is looked for.
    """
    descriptors: list[int] = []
    try:
        task = Task.hold(pid, pidfd)
        try:
            _require_own(task)
            descriptors.append(task.open_user_namespace())
            descriptors.append(procfs.open_namespace("mnt", pid))
            procfs.check_pidfd(pidfd, pid)
            require(*descriptors)
            first, its_pidfd = _first_of(task)
            descriptors.insert(0, its_pidfd)
            descriptors.append(procfs.open_root(pid))
            procfs.check_pidfd(pidfd, pid)
        finally:
            task.close()
    except StoreError:
        _close(descriptors)
        raise
    except ProcessLookupError as error:
        _close(descriptors)
        raise NoSuchProcess(f"process {pid} has ended") from error
    except OSError as error:
        _close(descriptors)
        raise HostError(
            f"cannot look into process {pid}: {(error.strerror or str(error)).lower()}",
            hint="the service needs the right to trace it; a user's own serves that user's containers",
        ) from error
    return Found(Container(*descriptors), first)


def _require_own(task: Task) -> None:
    """A container has a mount namespace of its own: elsewhere we would mount for the host."""
    if task.namespace("mnt") == Task(os.getpid()).namespace("mnt"):
        raise HostError(
            f"process {task.tid} is in no container: its mount namespace is this service's own",
            hint="`fdstorefs mount` starts an instance for the host",
        )


def _first_of(task: Task) -> tuple[int, int]:
    """Number and pidfd of the first process in a task's pid namespace, of itself where that is our own."""
    kind = task.namespace("pid")
    if kind == Task(os.getpid()).namespace("pid"):
        # Not a copy of theirs, which may be in a set of epoll(7) that holds up who closes it last.
        return task.tid, os.pidfd_open(task.tid)
    for pid in (*_ancestors(task.tid), *procfs.processes()):
        try:
            its = os.pidfd_open(pid)
        except OSError:
            continue
        if _is_first(pid, its, kind):
            return pid, its
        os.close(its)
    raise HostError(f"the first process of {kind} is not to be found", hint="has the container ended?")


def _ancestors(pid: int) -> list[int]:
    found = []
    try:
        while pid:
            found.append(pid)
            pid = Task(pid).parent()
    except OSError:
        pass  # one has ended, and the rest is looked for among all processes
    return found


def _is_first(pid: int, pidfd: int, kind: str) -> bool:
    try:
        task = Task.hold(pid, pidfd)
    except OSError:
        return False
    try:
        return task.numbers()[-1] == _FIRST and task.namespace("pid") == kind
    except OSError:
        return False
    finally:
        task.close()


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
