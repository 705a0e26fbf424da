"""What an instance costs at one moment: memory, descriptors and processes, as the kernel counts them."""

import os
from pathlib import Path
from typing import NamedTuple

import fdstorefs

_JOURNAL = "/memfd:fdstorefs-journal"


class Sample(NamedTuple):
    """At one moment. Memory is in KiB: PSS, which counts what processes share once, and RSS, which doesn't."""

    operations: int
    seconds: float
    crashes: int
    entries: int
    files: int
    processes: int
    server_pss: int
    keeper_pss: int
    spare_pss: int
    server_rss: int
    keeper_rss: int
    server_descriptors: int
    keeper_descriptors: int
    spare_descriptors: int
    journal: int

    @property
    def memory(self) -> int:
        """All in all."""
        return self.server_pss + self.keeper_pss + self.spare_pss

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """Of each process."""
        return self.server_descriptors, self.keeper_descriptors, self.spare_descriptors

    def has_no_more_than(self, before: "Sample") -> bool:
        """Whether no process has more descriptors. It may have fewer: one more may have been about to be closed."""
        return all(now <= then for now, then in zip(self.descriptors, before.descriptors, strict=True))


def take(status: fdstorefs.Status, operations: int, seconds: float, crashes: int) -> Sample | None:
    """A sample, None if a process ended meanwhile or there is no spare at this moment."""
    assert status.keeper is not None
    try:
        spare = _spare(status.keeper, status.pid)
        (server_pss, server_rss), (keeper_pss, keeper_rss), (spare_pss, _) = (
            _memory(pid) for pid in (status.pid, status.keeper, spare)
        )
        return Sample(
            operations,
            round(seconds, 1),
            crashes,
            status.entries,
            status.descriptors,
            _processes(os.getsid(status.keeper)),
            server_pss,
            keeper_pss,
            spare_pss,
            server_rss,
            keeper_rss,
            *(len(os.listdir(f"/proc/{pid}/fd")) for pid in (status.pid, status.keeper, spare)),
            _journal(status.keeper),
        )
    except (OSError, StopIteration):
        return None


def _spare(keeper: int, server: int) -> int:
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return next(int(child) for child in children if int(child) != server)


def _memory(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    numbers = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return numbers["Pss:"], numbers["Rss:"]


def _processes(session: int) -> int:
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += os.getsid(int(pid)) == session
        except ProcessLookupError:
            continue
    return found


def _journal(keeper: int) -> int:
    directory = f"/proc/{keeper}/fd"
    for name in os.listdir(directory):
        if os.readlink(f"{directory}/{name}").startswith(_JOURNAL):
            return os.stat(f"{directory}/{name}").st_size
    raise FileNotFoundError(_JOURNAL)
