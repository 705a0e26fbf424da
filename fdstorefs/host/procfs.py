"""The only file that reads /proc: what the kernel says about tasks, descriptors, mounts and id maps.

A task is named by its thread id as the reader's own /proc shows it. Reads by number are racy: numbers are
recycled. Where an identity decides about permission, hold a pidfd and use `read_task_checked`.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from fdstorefs.host import mount_table
from fdstorefs.host.mount_table import MountTable

Fdinfo = dict[str, str | list[str]]

START_TIME_FIELD = 19
"""Where in what `parse_stat` returns the time is when the task started, in clock ticks since boot."""

_EVERY_ID = 2**32 - 1
_RECORD_BYTES = 65536
_NAMESPACES = ("user", "mnt", "pid")


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One thread at one moment, ids as our own user namespace sees them.

    `uids` and `gids` are real, effective, saved and file-system id. `start_time` is in clock ticks since
    boot, the capability sets are bit masks, a namespace is its inode number. None where the kernel doesn't
    let us see.
    """

    tid: int
    tgid: int
    start_time: int
    comm: str
    uids: tuple[int, int, int, int]
    gids: tuple[int, int, int, int]
    groups: frozenset[int]
    cap_effective: int
    cap_permitted: int
    userns: int | None
    mntns: int | None
    pidns: int | None
    exe: str | None


@dataclass(frozen=True, slots=True)
class IdRange:
    """One line of a uid or gid map: `count` ids from `inside` on are `outside` and up in the parent."""

    inside: int
    outside: int
    count: int


def read_task(tid: int) -> TaskFacts:
    """Everything about one thread. Raises ProcessLookupError when there is none."""
    comm, start_time = _comm_and_start_time(tid)
    status = _status(tid)
    userns, mntns, pidns = (namespace(name, tid) for name in _NAMESPACES)
    return TaskFacts(
        tid=tid,
        tgid=int(status["Tgid"]),
        start_time=start_time,
        comm=comm,
        uids=_four_ids(status["Uid"]),
        gids=_four_ids(status["Gid"]),
        groups=frozenset(map(int, status["Groups"].split())),
        cap_effective=int(status["CapEff"], 16),
        cap_permitted=int(status["CapPrm"], 16),
        userns=userns,
        mntns=mntns,
        pidns=pidns,
        exe=_exe_of(tid),
    )


def read_task_checked(tid: int, pidfd: int) -> TaskFacts:
    """`read_task`, certain to describe the task behind `pidfd` (the thread's own pidfd or its process's).

    Raises ProcessLookupError when the task is gone, or when `tid` now belongs to another process: a number
    cannot be given away again while the task that `pidfd` holds still has it.
    """
    facts = read_task(tid)
    holder = _pid_behind(pidfd)
    if holder not in (tid, facts.tgid):
        raise _gone(tid)
    return facts


def check_pidfd(pidfd: int, pid: int) -> None:
    """Raise ProcessLookupError unless the process behind `pidfd` is there and has this number in /proc.

    It holds for what was opened or read under the number before: a number cannot be given away again while the
    process that `pidfd` holds still has it.
    """
    if _pid_behind(pidfd) != pid:
        raise _gone(pid)


def number_behind(pidfd: int) -> int:
    """The number of the process behind a pidfd, here. Raises ProcessLookupError if it has none: it has ended."""
    found = _pid_behind(pidfd)
    if found <= 0:
        raise ProcessLookupError(errno.ESRCH, "the process has ended, or is not to be seen from here")
    return found


def processes() -> list[int]:
    """The numbers of all processes that there are, as far as we see."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def task_path(tid: int) -> str:
    """The directory of a task, with a slash at its end."""
    return f"/proc/{tid}/"


def parse_stat(text: bytes) -> tuple[str, list[bytes]]:
    """The name in a task's stat file, and the fields after it, the first of which is the state."""
    # The name may contain anything, `) S 1 (` too: the last parenthesis is the kernel's.
    head, _, tail = text.rpartition(b")")
    return head.partition(b"(")[2].decode(errors="surrogateescape"), tail.split()


def fdinfo(fd: int, pid: int | str = "self") -> Fdinfo:
    """The fdinfo of a descriptor; a key that occurs more than once (`tfd`, `inotify wd`) maps to a list.

    Raises FileNotFoundError when there is no such descriptor. Never ask for an epoll descriptor that somebody
    else made: the kernel takes its lock, which a poll of a file of a dead FUSE server holds for ever.
    """
    found: Fdinfo = {}
    for line in _read(f"/proc/{pid}/fdinfo/{fd}").decode(errors="surrogateescape").rstrip("\n").split("\n"):
        key, _, value = line.partition(":")
        _add(found, key, value.strip())
    return found


def fdinfo_field(found: Fdinfo, key: str) -> str:
    """The one value of `key`, `0` where the kernel doesn't tell it."""
    value = found.get(key, "0")
    return value if isinstance(value, str) else value[0]


def fd_link(fd: int) -> str:
    """What one of our descriptors is called: a path, `socket:[4711]`, `anon_inode:[eventfd]`, ..."""
    return os.readlink(f"/proc/self/fd/{fd}")


def open_namespace(name: str, pid: int | str = "self") -> int:
    """A new descriptor of a task's namespace: `net`, `mnt`, `user`, `pid`, ..."""
    return os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)


def namespaces_device() -> int:
    """The device number that every descriptor of a namespace has, and nothing else."""
    return os.stat("/proc/self/ns/mnt").st_dev


def id_map(kind: str, pid: int | str = "self") -> list[IdRange]:
    """The `uid` or `gid` map of a task's user namespace."""
    lines = _read(f"/proc/{pid}/{kind}_map").split(b"\n")
    return [IdRange(*map(int, line.split())) for line in lines if line]


def identity_is_whole(kind: str = "uid") -> bool:
    """Whether our user namespace maps every `uid` (or `gid`), so that 65534 is not `somebody we can't name`."""
    return sum(mapped.count for mapped in id_map(kind)) == _EVERY_ID


def own_user_namespace() -> int | None:
    """The inode number of our own user namespace."""
    return namespace("user")


def namespace(name: str, pid: int | str = "self") -> int | None:
    """The inode number of a task's namespace: `mnt`, `user`, ...; None where it is kept from us or has ended."""
    link = _task_link(pid, f"ns/{name}")
    return None if link is None else int(link.partition("[")[2].rstrip("]"))


def parent_of(pid: int) -> int:
    """The process that has to take care of it; 0 if we cannot see that. Raises ProcessLookupError."""
    return int(_status(pid)["PPid"])


def children_of(pid: int) -> list[int]:
    """The processes that the main thread of a process has started and not waited for. Raises ProcessLookupError."""
    return [int(child) for child in _task_file(pid, f"task/{pid}/children").split()]


def numbers_of(pid: int) -> list[int]:
    """Its number here, then in each pid namespace below ours that it is in. Raises ProcessLookupError."""
    return [int(number) for number in _status(pid)["NSpid"].split()]


def proportional_memory(pid: int) -> int | None:
    """Bytes of memory, those shared with others divided among all; None where it is kept from us or has ended.

    Waits for whoever changes the process's memory map, for ever perhaps.
    """
    try:
        text = _read(f"/proc/{pid}/smaps_rollup")
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return None
    found = next((line for line in text.split(b"\n") if line.startswith(b"Pss:")), None)
    return None if found is None else int(found.split()[1]) * 1024


def command(tid: int) -> str:
    """The name of a thread's program, as ps shows it. Raises ProcessLookupError."""
    try:
        fd = os.open(f"/proc/{tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _gone(tid) from None
    try:
        # Asked with every stash, and never more than sixteen bytes.
        return os.read(fd, 64).decode(errors="replace").rstrip("\n")
    finally:
        os.close(fd)


def path_of(fd: int) -> str:
    """A path that leads to our own open directory, however long its real path is."""
    return f"/proc/self/fd/{fd}"


def open_own_directory() -> int:
    """A descriptor of our own directory in /proc, for when we are where that is not to be found or to be trusted."""
    return os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def open_root(pid: int) -> int:
    """A descriptor, of its path only, of what a process has for its root directory."""
    return os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def overflow_uid() -> int:
    """The uid that stands for every user our user namespace doesn't map."""
    return int(_read("/proc/sys/kernel/overflowuid"))


def overflow_gid() -> int:
    """The gid that stands for every group our user namespace doesn't map."""
    return int(_read("/proc/sys/kernel/overflowgid"))


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    # Linux 6.2 and later say it in the size; counting 15,000 names takes milliseconds.
    counted = os.stat("/proc/self/fd").st_size
    return counted or len(os.listdir("/proc/self/fd")) - 1


def open_mountinfo() -> int:
    """A descriptor of our own mount table: it polls POLLPRI each time the table has changed."""
    return os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)


def mounts(pid: int | str = "self", most: int | None = None) -> MountTable:
    """The mount table of a task's mount namespace, read now. OSError (EFBIG): it takes more than `most` bytes."""
    return mount_table.parse(_read(f"/proc/{pid}/mountinfo", most))


def _comm_and_start_time(tid: int) -> tuple[str, int]:
    name, fields = parse_stat(_task_file(tid, "stat"))
    return name, int(fields[START_TIME_FIELD])


def _pid_behind(pidfd: int) -> int:
    return int(fdinfo_field(fdinfo(pidfd), "Pid"))


def _status(tid: int) -> dict[str, str]:
    # The kernel escapes the one field that a task chooses itself (Name), so lines cannot be forged.
    text = _task_file(tid, "status").decode(errors="surrogateescape")
    return {key: value.strip() for key, _, value in _split_lines(text)}


def _split_lines(text: str) -> Iterator[tuple[str, str, str]]:
    return (line.partition(":") for line in text.split("\n"))


def _four_ids(field: str) -> tuple[int, int, int, int]:
    real, effective, saved, filesystem = map(int, field.split())
    return real, effective, saved, filesystem


def _exe_of(tid: int) -> str | None:
    return _task_link(tid, "exe")


def _task_link(tid: int | str, name: str) -> str | None:
    """A link of /proc/TID; None where it is kept from us or where a kernel thread has none."""
    try:
        return os.readlink(f"/proc/{tid}/{name}")
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return None


def _task_file(tid: int, name: str) -> bytes:
    try:
        return _read(f"/proc/{tid}/{name}")
    except FileNotFoundError:
        raise _gone(tid) from None


def _gone(tid: int) -> ProcessLookupError:
    return ProcessLookupError(errno.ESRCH, f"the thread `{tid}` has ended")


def _add(found: Fdinfo, key: str, value: str) -> None:
    earlier = found.get(key)
    if earlier is None:
        found[key] = value
    elif isinstance(earlier, str):
        found[key] = [earlier, value]
    else:
        earlier.append(value)


def _read(path: str, most: int | None = None) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_all(fd, most)
    finally:
        os.close(fd)


def read_all(fd: int, most: int | None = None) -> bytes:
    """The whole of a /proc file from its start: such files give a page at a time and no size.

    Raises OSError (EFBIG) as soon as it is more than `most` bytes.
    """
    parts = []
    offset = 0
    while part := os.pread(fd, 65536, offset):
        parts.append(part)
        offset += len(part)
        if most is not None and offset > most:
            raise OSError(errno.EFBIG, f"it has more than {most} bytes")
    return b"".join(parts)


def read_record(fd: int) -> bytes:
    """The whole of a task's file that the kernel writes in one piece: status, stat, cgroup.

    Of such a file less than was asked for is all there is. To make sure by reading on would make the kernel
    write it once more.
    """
    text = os.pread(fd, _RECORD_BYTES, 0)
    return text if len(text) < _RECORD_BYTES else read_all(fd)
