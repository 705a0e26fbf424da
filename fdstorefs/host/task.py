"""A task of /proc, by its number or held: what the kernel says of it, one fact at a time."""

import os
from typing import NamedTuple

from fdstorefs.host import cgroups, procfs
from fdstorefs.host.cgroups import Place

_PARENT_FIELD = 1
_FLAGS_FIELD = 6
_PF_EXITING = 0x4
_DEAD = frozenset({b"Z", b"X"})
_LET_GO = -1


class Status(NamedTuple):
    """What a task's status file says; ids as our own user namespace sees them, capabilities as a mask."""

    tgid: int
    uids: tuple[int, int, int, int]
    gids: tuple[int, int, int, int]
    groups: tuple[int, ...]
    cap_effective: int


class Task:
    """One process or thread. Every method raises ProcessLookupError once it has ended and been waited for.

    Named by number alone it may by then be another: that is for a task that waits for our answer. `hold` binds
    to one process, whoever gets its number later. Methods also raise PermissionError, and FileNotFoundError
    where /proc hides it, and OSError (EBADF) once it was let go of.
    """

    __slots__ = ("_cgroup", "_directory", "_prefix", "tid")

    def __init__(self, tid: int, directory: int | None = None) -> None:
        self.tid = tid
        self._directory = directory
        self._prefix = "" if directory is not None else procfs.task_path(tid)
        self._cgroup: int | None = None

    @classmethod
    def hold(cls, pid: int, pidfd: int) -> "Task":
        """The process behind `pidfd`, which must be `pid` (else ProcessLookupError). To be closed.

        A directory of /proc belongs to one process for good: when that has ended, nothing in it can be read.
        So if the process is still there after its directory was opened, it is the process's own.
        """
        directory = os.open(procfs.task_path(pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            procfs.check_pidfd(pidfd, pid)
        except BaseException:
            os.close(directory)
            raise
        return cls(pid, directory)

    @property
    def directory(self) -> int | None:
        """The descriptor that it is held by; None if it is not, or no more."""
        return self._directory if self._directory != _LET_GO else None

    def close(self) -> None:
        """Let go of it, once or more. From then on every method fails, whoever has the number now."""
        for fd in (self._directory, self._cgroup):
            if fd is not None and fd != _LET_GO:
                os.close(fd)
        # No directory at all would be the one that the server happens to be in.
        self._directory = _LET_GO
        self._cgroup = None

    def effective_uid(self) -> int:
        """Its effective uid. Root's once it has ended: so ask after what it is to vouch for."""
        if self._directory is not None:
            return os.fstat(self._directory).st_uid
        return os.stat(self._prefix).st_uid

    def owner_of_files(self) -> int:
        """Who owns its files in /proc: its effective uid while it is dumpable, else root.

        A program that gave it rights which it didn't have (set-user-ID, file capabilities) makes it not
        dumpable, and so does a change of its ids, until it executes another program.
        """
        return os.stat(f"{self._prefix}status", dir_fd=self._directory).st_uid

    def status(self) -> Status:
        """Ids and capabilities."""
        text = self._read("status")
        return Status(
            tgid=int(_field(text, b"\nTgid:\t")),
            uids=_four_ids(_field(text, b"\nUid:\t")),
            gids=_four_ids(_field(text, b"\nGid:\t")),
            groups=tuple(map(int, _field(text, b"\nGroups:\t").split())),
            cap_effective=int(_field(text, b"\nCapEff:\t"), 16),
        )

    def parent(self) -> int:
        """The number of the process that started it, or has taken it in since."""
        return int(procfs.parse_stat(self._read("stat"))[1][_PARENT_FIELD])

    def numbers(self) -> tuple[int, ...]:
        """Its process's numbers, here and in each pid namespace further in; the last is that of its own."""
        return tuple(map(int, _field(self._read("status"), b"\nNStgid:\t").split()))

    def threads(self) -> set[int]:
        """The numbers of the process's threads."""
        fd = os.open(
            f"{self._prefix}task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._directory
        )
        try:
            return set(map(int, os.listdir(fd)))
        finally:
            os.close(fd)

    def tracer(self, thread: int) -> int:
        """The process that traces a thread of this process, 0 if none does."""
        return int(_field(self._read(f"task/{thread}/status"), b"\nTracerPid:\t"))

    def name_and_start(self) -> tuple[str, int]:
        """The name of its program, and when it started, in clock ticks since boot."""
        name, fields = procfs.parse_stat(self._read("stat"))
        return name, int(fields[procfs.START_TIME_FIELD])

    def is_dead(self) -> bool:
        """Whether it has ended, and only waits for somebody to be told."""
        return procfs.parse_stat(self._read("stat"))[1][0] in _DEAD

    def program(self) -> str:
        """The path of the program that it executes."""
        return os.readlink(f"{self._prefix}exe", dir_fd=self._directory)

    def namespace(self, kind: str) -> str:
        """A namespace of it as the kernel writes it: `user:[4026531837]`."""
        return os.readlink(f"{self._prefix}ns/{kind}", dir_fd=self._directory)

    def root(self) -> tuple[int, int]:
        """Device and inode of its root directory. PermissionError for whoever may not look into it."""
        found = os.stat(f"{self._prefix}root", dir_fd=self._directory)
        return found.st_dev, found.st_ino

    def open_user_namespace(self) -> int:
        """A new descriptor of its user namespace."""
        return os.open(f"{self._prefix}ns/user", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)

    def cgroup(self) -> Place | None:
        """The cgroup that it is in now; None if that lies outside what we can name."""
        place = cgroups.place_in(self._cgroup_text())
        # In hierarchies of version 1 a task that has begun to end is shown in the root, wherever it was.
        at_root_of_1 = place is not None and place.version == 1 and place.path == cgroups.ROOT
        return None if at_root_of_1 and self._is_ending() else place

    def _cgroup_text(self) -> bytes:
        if self._directory is None:
            return self._read("cgroup")
        # What is held is asked again and again: keeping the file open halves the cost.
        if self._cgroup is None:
            self._cgroup = os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        return procfs.read_record(self._cgroup)

    def _is_ending(self) -> bool:
        return bool(int(procfs.parse_stat(self._read("stat"))[1][_FLAGS_FIELD]) & _PF_EXITING)

    def _read(self, name: str) -> bytes:
        fd = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            return procfs.read_record(fd)
        finally:
            os.close(fd)


def namespace_number(link: str) -> int:
    """The number in `mnt:[4026531832]`."""
    return int(link.partition("[")[2].rstrip("]"))


def _field(text: bytes, key: bytes) -> bytes:
    # The kernel escapes the one field that a task chooses itself (Name), so lines cannot be forged.
    start = text.index(key) + len(key)
    return text[start : text.index(b"\n", start)]


def _four_ids(field: bytes) -> tuple[int, int, int, int]:
    real, effective, saved, filesystem = map(int, field.split())
    return real, effective, saved, filesystem
