"""What instances are going to execute is found out in a process apart, while this one has loaded next to nothing.

So that it can have in one place what it would find all over its memory later (see `fdstorefs.server.warmth`).
"""

import os
import struct
import sys
from collections.abc import Iterable
from typing import NamedTuple, Self

_HASH = struct.Struct("q")

_kept: list[str] = []


class Report(NamedTuple):
    """Two files in memory, which processes forked from one another may write to at the same time.

    `codes` has hashes of the code objects that keeper and server of an instance execute, `names` the names in these.
    Both hold in this process, and in those that it forks.
    """

    codes: int
    names: int

    @classmethod
    def begin(cls) -> Self:
        """An empty one."""
        return cls(os.memfd_create("rehearsed-codes"), os.memfd_create("rehearsed-names"))

    def moved_to(self, codes: int, names: int) -> Self:
        """The same in place of other descriptors."""
        return type(self)(os.dup2(self.codes, codes), os.dup2(self.names, names))

    def close(self) -> None:
        """Let go of them."""
        os.close(self.codes)
        os.close(self.names)

    def add(self, code: int, names: Iterable[str]) -> None:
        """A hash, and names that are new."""
        os.write(self.codes, _HASH.pack(code))
        os.write(self.names, "".join(f"{name}\n" for name in names).encode())

    def executed(self) -> frozenset[int]:
        """All hashes."""
        return frozenset(code for (code,) in _HASH.iter_unpack(_all_of(self.codes)))

    def named(self) -> list[str]:
        """All names, and nothing in between where they lie."""
        return _all_of(self.names).decode().split("\n")[:-1]


def scout() -> frozenset[int]:
    """The hashes of what instances execute; none where none can be started. The names in it lie beside one another from
    now on: code that is loaded later uses these, and has none of its own.

    Whoever calls this has one thread.
    """
    report = Report.begin()
    try:
        pid = os.fork()
        if pid == 0:
            _explore(report)
        os.waitpid(pid, 0)
        _kept.extend(map(sys.intern, report.named()))
        return report.executed()
    finally:
        report.close()


def _explore(report: Report) -> None:
    try:
        from fdstorefs.containers.rehearsal import rehearse

        rehearse(report)
    except Exception as error:  # noqa: BLE001  nothing may get past the fork
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(0)


def _all_of(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)
