"""Processes that the keeper has started and that are not its server, or no longer: their end is awaited."""

import os
from collections.abc import Collection, Iterable

from fdstorefs.keeper.ending import status_of


class Children:
    """By their pidfds, which are ours."""

    def __init__(self, told: Iterable[tuple[int, int]] = ()) -> None:
        self._pids: dict[int, int] = {pidfd: pid for pid, pidfd in told}

    @property
    def pidfds(self) -> list[int]:
        """To be waited for: each is readable when its process has ended."""
        return list(self._pids)

    @property
    def told(self) -> list[tuple[int, int]]:
        """Pid and pidfd of each."""
        return [(pid, pidfd) for pidfd, pid in self._pids.items()]

    def add(self, pid: int, pidfd: int) -> None:
        """One more."""
        self._pids[pidfd] = pid

    def forget(self, pid: int) -> None:
        """It is the server now."""
        for pidfd in [pidfd for pidfd, each in self._pids.items() if each == pid]:
            del self._pids[pidfd]
            os.close(pidfd)

    def reap(self, ready: Collection[int]) -> None:
        """Let go of those that have ended; `ready` are descriptors that can be read."""
        for pidfd in self._pids.keys() & set(ready):
            status_of(self._pids.pop(pidfd))
            os.close(pidfd)
