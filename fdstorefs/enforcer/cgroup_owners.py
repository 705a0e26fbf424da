"""Whose cgroups are followed, so that no user can use up the room for all others' and for the system's.

Whoever has a part of the tree delegated to him can make any number below it, and give them to other uids if he has a
user namespace with a range of them. So he pays for all below the outermost directory that is not root's.
"""

import logging
import os
from collections import Counter
from typing import Final

log = logging.getLogger(__name__)

MOST_OF_ONE: Final = 4096
"""Cgroups that are followed of one user, other than root."""

_ROOT = 0


class CgroupOwners:
    """Counts the cgroups at or below the directory `top`, by who pays for them; at most `most` of each user's."""

    def __init__(self, top: str, most: int = MOST_OF_ONE) -> None:
        self._top = top
        self._most = most
        self._payers: dict[str, int] = {}
        self._counts: Counter[int] = Counter()
        self._exceeded: set[int] = set()

    def admit(self, path: str) -> bool:
        """Count a cgroup, once; False if there are too many already. Raises OSError if it has gone."""
        payer = self._payer(path)
        if path in self._payers:
            self._move(path, payer)
            return True
        if payer != _ROOT and self._counts[payer] >= self._most:
            self._say_exceeded(payer)
            return False
        self._payers[path] = payer
        self._counts[payer] += 1
        return True

    def leave(self, path: str) -> None:
        """Count it no more."""
        payer = self._payers.pop(path, None)
        if payer is not None:
            self._counts[payer] -= 1

    def _payer(self, path: str) -> int:
        parent = os.path.dirname(path)
        if parent in self._payers and path != parent:
            # Whoever makes a cgroup for a user gives it to him a moment later.
            payer = self._payers[parent] or self._move(parent, owner_of(self._top + parent))
            if payer != _ROOT:
                return payer
        return owner_of(self._top + path)

    def _move(self, path: str, payer: int) -> int:
        former = self._payers[path]
        if payer != former:
            self._payers[path] = payer
            self._counts[former] -= 1
            self._counts[payer] += 1
        return payer

    def _say_exceeded(self, payer: int) -> None:
        if payer not in self._exceeded:
            self._exceeded.add(payer)
            log.error(
                "cgroups: uid %d has more than the %d that are followed; rules that ask for a cgroup deny in the rest",
                payer,
                self._most,
            )


def owner_of(directory: str) -> int:
    """The uid that a directory belongs to. Raises OSError."""
    return os.stat(directory, follow_symlinks=False).st_uid
