"""Callers: the thread behind a request, and whether it is still the process that it was."""

from dataclasses import dataclass
from typing import NamedTuple

from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.host import procfs
from fdstorefs.host.procfs import TaskFacts


class Caller(NamedTuple):
    """Who sent a request, as the kernel wrote it into the header: file-system uid and gid, thread id.

    `tid` is 0 for a process in a pid namespace that the server doesn't see.
    """

    uid: int
    gid: int
    tid: int


@dataclass(frozen=True, slots=True)
class Identity:
    """A process and its rights, to be compared with what they are later.

    `started` is the process's start, so a recycled pid is another identity. A program that the process
    executes keeps it, unless that changes its credentials.
    """

    tgid: int
    started: int
    uids: tuple[int, int, int, int]
    gids: tuple[int, int, int, int]
    groups: frozenset[int]
    cap_effective: int
    cap_permitted: int
    userns: int | None


def identify(caller: Caller, facts: TaskFacts | None = None) -> Identity:
    """The caller's identity now; `facts` if they have been read already.

    Errors: NoSuchProcess for a thread that is gone or cannot be seen; NotPermitted if the thread's ids are
    not those of the request, which happens when somebody else acts in its name.
    """
    try:
        task = facts or read(caller)
        leader = task if task.tid == task.tgid else procfs.read_task(task.tgid)
    except ProcessLookupError as error:
        raise NoSuchProcess(f"the calling process is gone: {error.strerror}") from error
    if (caller.uid, caller.gid) != (task.uids[3], task.gids[3]):
        raise NotPermitted(
            f"the request came with uid {caller.uid} and gid {caller.gid}, but thread {caller.tid} has "
            f"{task.uids[3]} and {task.gids[3]}"
        )
    return Identity(
        tgid=task.tgid,
        started=leader.start_time,
        uids=task.uids,
        gids=task.gids,
        groups=task.groups,
        cap_effective=task.cap_effective,
        cap_permitted=task.cap_permitted,
        userns=task.userns,
    )


def read(caller: Caller) -> TaskFacts:
    """What /proc says of the calling thread; NoSuchProcess or ProcessLookupError if it cannot be seen."""
    if not caller.tid:
        raise NoSuchProcess("the calling process is in a pid namespace that the server doesn't see")
    return procfs.read_task(caller.tid)
