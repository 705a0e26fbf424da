"""The host's cgroups of version 2: number and path of each, as they come and go.

Numbers are 64 bits wide and never used again, and they are the inode numbers of the directories. Paths are those
below the root of the hierarchy, as policies write them.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from typing import Final

from fdstorefs.enforcer.cgroup_owners import MOST_OF_ONE, CgroupOwners
from fdstorefs.host.inotify import IN_CREATE, IN_IGNORED, IN_MOVED_TO, IN_Q_OVERFLOW, Inotify

log = logging.getLogger(__name__)

MOST: Final = 65_536
"""Cgroups that are followed."""

APPEARS = IN_CREATE | IN_MOVED_TO


class CgroupTree:
    """Knows every cgroup at or below the directory `top`.

    `appeared(number, path)` is called for each new one, `gone(number)` for each that is no more.
    """

    def __init__(
        self,
        top: str,
        appeared: Callable[[int, str], None],
        gone: Callable[[int], None],
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        """Raises OSError if directories cannot be watched at all."""
        self._top = top
        self._appeared = appeared
        self._gone = gone
        self._most = most
        self._owners = CgroupOwners(top, most_of_one)
        self._paths: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._watches: dict[int, str] = {}
        self._watch_at: dict[str, int] = {}
        self._is_incomplete = False
        self._inotify = Inotify()
        self.look_again()

    def fileno(self) -> int:
        """Readable when there is something to `catch_up` with."""
        return self._inotify.fileno()

    @property
    def known(self) -> dict[int, str]:
        """The path of each cgroup by its number."""
        return self._paths

    def catch_up(self) -> bool:
        """Take note of what the kernel has told, up to as much as one read brings.

        False if it was more than could be told: then `look_again` is due.
        """
        events = self._inotify.read()
        for event in events:
            path = self._watches.get(event.number)
            if path is None:
                continue
            if event.mask & IN_IGNORED:
                self._forget(event.number, path)
            elif event.mask & APPEARS:
                self._add_all(_below(path, event.name))
        return not any(event.mask & IN_Q_OVERFLOW for event in events)

    def look_again(self) -> None:
        """Look at the whole tree; what has gone is forgotten."""
        before = set(self._paths)
        seen: set[int] = set()
        paths: set[str] = set()
        for path in self._walk("/"):
            paths.add(path)
            number = self._add(path)
            if number is not None:
                seen.add(number)
        for number in before - seen:
            self._drop(number)
        # That these have gone we may never be told.
        for path in self._watch_at.keys() - paths:
            self._unwatch(path)

    def close(self) -> None:
        """Follow them no more."""
        self._inotify.close()

    def _add_all(self, path: str) -> None:
        for each in self._walk(path):
            self._add(each)

    def _walk(self, path: str) -> Iterator[str]:
        """A cgroup and all below it. Each is watched before it is listed, so that none is missed."""
        todo = [path]
        while todo:
            path = todo.pop()
            if self._watch(path):
                yield path
                todo += self._listed(path)

    def _listed(self, path: str) -> list[str]:
        try:
            with os.scandir(self._directory(path)) as found:
                return [_below(path, entry.name) for entry in found if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            self._complain(path, error)
            return []

    def _watch(self, path: str) -> bool:
        if len(self._watch_at) >= self._most and path not in self._watch_at:
            self._say_incomplete(f"there are more than {self._most}")
            return False
        try:
            if not self._owners.admit(path):
                return False
            number = self._inotify.add(self._directory(path), APPEARS)
        except OSError as error:
            self._complain(path, error)
            if path not in self._watch_at:
                self._owners.leave(path)
            return False
        self._watches[number] = path
        self._watch_at[path] = number
        return True

    def _add(self, path: str) -> int | None:
        try:
            number = os.stat(self._directory(path), follow_symlinks=False).st_ino
        except OSError as error:
            self._complain(path, error)
            return None
        if self._paths.get(number) != path:
            former = self._numbers.get(path)
            if former is not None:
                self._drop(former)
            self._paths[number], self._numbers[path] = path, number
            self._appeared(number, path)
        return number

    def _forget(self, watch: int, path: str) -> None:
        if self._watch_at.get(path) != watch:
            del self._watches[watch]
            return  # another was made in its place meanwhile
        self._unwatch(path)
        number = self._numbers.get(path)
        if number is not None:
            self._drop(number)

    def _unwatch(self, path: str) -> None:
        self._watches.pop(self._watch_at.pop(path), None)
        self._owners.leave(path)

    def _drop(self, number: int) -> None:
        path = self._paths.pop(number)
        if self._numbers.get(path) == number:
            del self._numbers[path]
        self._gone(number)

    def _directory(self, path: str) -> str:
        return self._top + path

    def _complain(self, path: str, error: OSError) -> None:
        if error.errno == errno.ENOSPC:
            self._say_incomplete("raise the sysctl fs.inotify.max_user_watches")
        elif error.errno not in _GONE:
            self._say_incomplete(f"{path[:256]!a}: {os.strerror(error.errno or 0)}")

    def _say_incomplete(self, why: str) -> None:
        if not self._is_incomplete:
            self._is_incomplete = True
            log.error("cgroups: some are not followed, so rules that ask for a cgroup deny there: %s", why)


_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})


def _below(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"
