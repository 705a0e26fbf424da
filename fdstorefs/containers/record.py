"""What is on record of each instance, in a directory of the service's own, for the services that come after it.

A record is written by each server before it gives up the service's rights, so that one that can be read is true; and it
counts for as long as the instance's keeper or server is there.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from fdstorefs.host import procfs
from fdstorefs.host.task import Task

log = logging.getLogger(__name__)

FORMAT = 1
_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600
_SUFFIX, _MARK_SUFFIX = ".json", ".served"

_Mark = tuple[int, int, int]
"""By which a file is known again: inode, time and size. None is written to, each is replaced."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can't be taken for another: its number, and when it started, in clock ticks since boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this number now. Raises ProcessLookupError."""
        return cls(pid, Task(pid).name_and_start()[1])

    @property
    def is_there(self) -> bool:
        """Whether it still runs."""
        try:
            return Process.of(self.pid) == self and not Task(self.pid).is_dead()
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Record:
    """One instance, at `mount` in its container. `uid` is who asked for it, and `options` is what it was told.

    `users` and `mounts` are the numbers of the container's namespaces, and `first` is the process that it ends with.
    `outermost` is the number of the outermost user namespace that `users` is in, 0 in a record of before there was one.
    """

    mount: str
    uid: int
    users: int
    mounts: int
    first: Process
    options: dict[str, Any]
    keeper: Process
    server: Process | None = None
    outermost: int = 0
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The record's own."""
        return name_of(self.mounts, self.mount)

    @property
    def container(self) -> int:
        """By which it is known that two are of one container: a namespace with all that is in it."""
        return self.outermost if self.outermost not in (0, procfs.own_user_namespace()) else self.mounts

    @property
    def is_current(self) -> bool:
        """Whether somebody serves it, or will again."""
        return self.keeper.is_there or (self.server is not None and self.server.is_there)


def name_of(mounts: int, mount: str) -> str:
    """What the record of a mount point in a mount namespace is called."""
    return f"{mounts}-{hashlib.sha256(os.fsencode(mount)).hexdigest()[:16]}"


class Records:
    """All records, in one directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._read: dict[str, tuple[_Mark, Record]] = {}

    def prepare(self) -> None:
        """Make the directory, and take away what has ended. Raises OSError."""
        os.makedirs(self.directory, _DIRECTORY_MODE, exist_ok=True)
        for _ in self:
            continue

    def __iter__(self) -> Iterator[Record]:
        for record in self._all():
            if record.is_current:
                yield record
            else:
                self.remove(record.name)

    def _all(self) -> list[Record]:
        """Those that can be read, current or not. A file that is the one that was read before is not read again."""
        former, self._read = self._read, {}
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(_SUFFIX):
                self._look_at(name.removesuffix(_SUFFIX), former)
        return [record for _, record in self._read.values()]

    def _look_at(self, name: str, former: "dict[str, tuple[_Mark, Record]]") -> None:
        try:
            found = os.stat(self._path(name))
        except FileNotFoundError:
            return
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = former.get(name)
        if known is not None and known[0] == mark:
            self._read[name] = known
            return
        record = self._load(name)
        if record is not None:
            self._read[name] = (mark, record)

    def has_server(self, pid: int) -> bool:
        """Whether this is the server of an instance."""
        servers = (record.server for record in self._all())
        return any(each.is_there for each in servers if each is not None and each.pid == pid)

    def count(self) -> int:
        """How many there are, unread: anybody may ask. One whose processes were both killed may be among them."""
        return sum(name.endswith(_SUFFIX) for name in os.listdir(self.directory))

    def find(self, name: str) -> Record | None:
        """The record of this name, if it is current; one that isn't any more is removed."""
        found = self._load(name)
        if found is None or found.is_current:
            return found
        self.remove(name)
        return None

    def _load(self, name: str) -> Record | None:
        try:
            with open(self._path(name), encoding="utf-8") as file:
                return understood(json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("a record of an instance cannot be read: %s: %s", name, error)
            return None

    def write(self, record: Record) -> None:
        """Put it in place of a former one, whole. Raises OSError."""
        path = self._path(record.name)
        new = f"{path}.{os.getpid()}"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)))
        os.rename(new, path)

    def remove(self, name: str) -> None:
        """There is no such instance any more."""
        for path in (self._path(name), self._mark_path(name)):
            with suppress(FileNotFoundError):  # somebody else has noticed
                os.unlink(path)

    def begin_to_serve(self, name: str) -> int:
        """Say that the instance is served for as long as the descriptor that this gives is open. Raises OSError."""
        path = self._mark_path(name)
        mark = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        fcntl.flock(mark, fcntl.LOCK_SH)
        return mark

    def is_served(self, name: str) -> bool:
        """Whether somebody has said so and not left off since; of one from before that was said nobody knows."""
        try:
            mark = os.open(self._mark_path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(mark)
        return False

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name + _SUFFIX)

    def _mark_path(self, name: str) -> str:
        return os.path.join(self.directory, name + _MARK_SUFFIX)


def understood(told: dict[str, Any]) -> Record:
    """The record that `dataclasses.asdict` has made this of. Raises ValueError for one of another format."""
    if told["format"] != FORMAT:
        raise ValueError(f"it has the format {told['format']}, not {FORMAT}")
    server = told["server"]
    found = Record(**told)
    return replace(
        found,
        first=Process(**told["first"]),
        keeper=Process(**told["keeper"]),
        server=None if server is None else Process(**server),
    )
