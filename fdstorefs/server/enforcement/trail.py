"""Trails: every directory that the kernel passes through on the way to a path, and the name it looks up there.

Whoever can change one of those names decides what the path leads to. So these are the directories to be trusted,
and the ones to be watched.
"""

import os
from collections import deque
from typing import NamedTuple

MOST_LINKS = 40
"""As many as the kernel follows."""


class Step(NamedTuple):
    """A name that is looked up in a directory; the directory's path has no symbolic links in it."""

    directory: str
    name: str

    @property
    def path(self) -> str:
        """What the name stands for."""
        return os.path.join(self.directory, self.name)


def trail(path: str) -> tuple[Step, ...]:
    """The steps to an absolute path, those to and in the targets of symbolic links among them.

    It ends early with the first name that is missing or may not be seen.
    """
    steps: list[Step] = []
    todo = deque(path.split("/"))
    at, links = "/", 0
    while todo:
        name = todo.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        step = Step(at, name)
        steps.append(step)
        target = _target(step.path)
        if target is None:
            at = step.path
            continue
        links += 1
        if not target or links > MOST_LINKS:
            break
        at = "/" if target.startswith("/") else at
        todo.extendleft(reversed(target.split("/")))
    return tuple(steps)


def _target(path: str) -> str | None:
    """Where a symbolic link leads, None for anything else. Empty: one can't go on from there."""
    if not os.path.lexists(path):
        return ""
    try:
        return os.readlink(path) if os.path.islink(path) else None
    except OSError:
        return ""
