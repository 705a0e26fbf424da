"""The watch over policy files: tells when they may have changed, in whatever way.

What is watched is every step of the way to each file: so an editor that renames, a directory behind a symbolic link
that is swapped, and one that is removed and made again are all seen.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence

from fdstorefs.host.inotify import IN_IGNORED, IN_Q_OVERFLOW, Event, Inotify
from fdstorefs.server.enforcement.policy_files import policies_in
from fdstorefs.server.enforcement.trail import trail
from fdstorefs.server.loop import Loop, Timer

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.05
LONGEST_SECONDS = 0.5

Names = frozenset[str] | None
"""The names in a directory that matter; None: all."""


class Quiet:
    """Calls `act` once after many calls: when none has come for a moment, or after a while even so."""

    def __init__(self, loop: Loop, act: Callable[[], None]) -> None:
        self._loop = loop
        self._act = act
        self._since: float | None = None
        self._timer: Timer | None = None

    def disturb(self) -> None:
        """Something has changed."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        self.cancel_timer()
        self._timer = self._loop.call_at(min(now + QUIET_SECONDS, self._since + LONGEST_SECONDS), self._end)

    def cancel_timer(self) -> None:
        """Do not act, for now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._since = self._timer = None
        self._act()


class PolicyWatch:
    """Watches the ways to some absolute paths. `changed` is called in the loop, soon after the last change."""

    def __init__(self, loop: Loop, paths: Sequence[str], changed: Callable[[], None]) -> None:
        """Raises OSError if there can be no watch."""
        self._loop = loop
        self._paths = tuple(paths)
        self._quiet = Quiet(loop, changed)
        self._inotify = Inotify()
        self._wanted: dict[str, Names] = {}
        self._watches: dict[int, Names] = {}
        self._complaints: set[str] = set()
        loop.register(self._inotify.fileno(), self._on_events)

    def follow(self) -> bool:
        """Watch the ways to the paths as they are now. Returns whether they were others before.

        May block: for a worker thread, and one at a time.
        """
        wanted = _directories(self._paths)
        watches: dict[int, Names] = {}
        for directory, names in wanted.items():
            number = self._watch(directory)
            if number is not None:
                watches[number] = _both(watches[number], names) if number in watches else names
        former, self._watches = self._watches, watches
        for number in former.keys() - watches.keys():
            self._end_watch(number)
        moved = former.keys() != watches.keys() or wanted != self._wanted
        self._wanted = wanted
        return moved

    def notice_later(self) -> None:
        """Call `changed` as if something had changed now."""
        self._quiet.disturb()

    def end(self, *, in_use: bool) -> None:
        """Watch no more. `in_use`: a worker thread may be using it, so the process ends with its descriptor open."""
        self._quiet.cancel_timer()
        self._loop.unregister(self._inotify.fileno())
        if not in_use:
            self._inotify.close()

    def _watch(self, directory: str) -> int | None:
        try:
            number = self._inotify.add(directory)
        except (FileNotFoundError, NotADirectoryError):
            return None  # it has just gone, which shows in the one above
        except OSError as error:
            if directory not in self._complaints:
                self._complaints.add(directory)
                log.warning("policies: changes in `%s` go unnoticed: %s", directory, error.strerror)
            return None
        self._complaints.discard(directory)
        return number

    def _end_watch(self, number: int) -> None:
        try:
            self._inotify.remove(number)
        except OSError as error:
            # It ended by itself if the directory is gone.
            if error.errno != errno.EINVAL:
                raise

    def _on_events(self, _events: int) -> None:
        events = self._inotify.read()
        if any(event.mask & IN_Q_OVERFLOW for event in events):
            log.warning("policies: changes came too fast to be followed; all policies are read again")
        if any(map(self._matters, events)):
            self._quiet.disturb()

    def _matters(self, event: Event) -> bool:
        if event.mask & IN_IGNORED:
            return False
        # A watch that isn't in the table yet was made a moment ago.
        names = self._watches.get(event.number)
        return names is None or not event.name or event.name in names


def _directories(paths: Iterable[str]) -> dict[str, Names]:
    """Every directory on the ways to the paths, with the names in it that matter."""
    found: dict[str, Names] = {}
    for path in paths:
        _add_way(found, path)
        if os.path.isdir(path):
            for file in _listed(path):
                _add_way(found, file)
            found[os.path.realpath(path)] = None
    return found


def _add_way(found: dict[str, Names], path: str) -> None:
    for step in trail(path):
        found[step.directory] = _both(found.get(step.directory, frozenset()), frozenset({step.name}))


def _both(some: Names, more: Names) -> Names:
    return None if some is None or more is None else some | more


def _listed(directory: str) -> list[str]:
    try:
        return policies_in(directory)
    except OSError:
        return []  # whoever reads the policies is told why
