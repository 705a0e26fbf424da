"""What instances are going to execute is found out in a process apart, while this one has loaded next to nothing.

So that it can have in one place what it would find all over its memory later (see `fdstorefs.server.warmth`).
"""

import os
import struct
import sys
from collections.abc import Iterable

_HASH = struct.Struct("q")

_kept: list[str] = []


class Report:
    """Two files in memory, which processes forked from one another may write to at the same time.

    `codes` has hashes of the code objects that keeper and server of an instance execute, `names` the names in these.
    Both hold in this process, and in those that it forks.
    """

    def __init__(self) -> None:
        self.codes, self.names = (os.memfd_create(f"rehearsed-{what}") for what in ("codes", "names"))

    def close(self) -> None:
        """Let go of them."""
        os.close(self.codes)
        os.close(self.names)

    def executed(self) -> frozenset[int]:
        """All hashes."""
        return frozenset(code for (code,) in _HASH.iter_unpack(_all_of(self.codes)))

    def named(self) -> list[str]:
        """All names, and nothing in between where they lie."""
        return _all_of(self.names).decode().split("\n")[:-1]


def add_code(codes: int, code: int) -> None:
    """Write down a hash."""
    os.write(codes, _HASH.pack(code))


def add_names(names: int, new: Iterable[str]) -> None:
    """Write down names."""
    os.write(names, "".join(f"{name}\n" for name in new).encode())


def scout() -> frozenset[int]:
    """The hashes of what instances execute; none where none can be started. The names in it lie beside one another from
    now on: code that is loaded later uses these, and has none of its own.

    Whoever calls this has one thread.
    """
    report = Report()
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
