"""Kinship: who may keep an instance's descriptors. What a keeper has no policy is asked about, so it is nobody else."""

from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.process import Process
from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.host.task import Task


def require_kin(instance: Instance, keeper: Process, pidfd: int, *, is_heir: bool) -> None:
    """Raise NotPermitted unless it is its server's parent or child, and the same user in the same place.

    An heir, which the kernel knows as a keeper of the instance already, need not be: it is what a keeper has turned
    into or started, and has what a keeper has.
    """
    here = instance.standing.here
    if (keeper.uid, keeper.userns.numbers[0]) != (instance.uid, instance.chain[0]):
        raise NotPermitted("a keeper runs as its server's user, in the same user namespace")
    if keeper.cgroup is None or keeper.cgroup != here.cgroup:
        raise NotPermitted("a keeper runs in its server's cgroup", hint="the cgroup that it registered from")
    if not is_heir and not _is_child(keeper, pidfd, instance) and not _is_parent(keeper, instance):
        raise NotPermitted(
            "a keeper is its server's parent or a child of it, or was started by one that was guarded",
            hint="start it, or be started by it",
        )


def _is_child(keeper: Process, pidfd: int, instance: Instance) -> bool:
    return keeper.start >= instance.start and _parent_of(keeper.pid, pidfd) == instance.pid


def _is_parent(keeper: Process, instance: Instance) -> bool:
    """A number that was another's before would not be the parent's: who loses his gets a new one at once."""
    if instance.pidfd is None:
        return False
    return keeper.start <= instance.start and _parent_of(instance.pid, instance.pidfd) == keeper.pid


def _parent_of(pid: int, pidfd: int) -> int:
    try:
        task = Task.hold(pid, pidfd)
    except OSError as error:
        raise NoSuchProcess(f"process {pid} has ended") from error
    try:
        return task.parent()
    except OSError as error:
        raise NoSuchProcess(f"process {pid} has ended") from error
    finally:
        task.close()
