"""A cgroup for the clients, as any service has one."""

import os
import tempfile
from pathlib import Path


class Cgroup:
    """A cgroup of version 2 below our own root; empty ones go with `remove`."""

    def __init__(self, hierarchy: Path) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="fdbench-", dir=hierarchy))

    def add(self, pid: int) -> None:
        """Move a process into it."""
        (self._path / "cgroup.procs").write_text(f"{pid}\n")

    def remove(self) -> None:
        """Take it away; its processes have ended."""
        self._path.rmdir()


def hierarchy() -> Path | None:
    """Where version 2 is mounted, if we may make cgroups there."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    found = (Path(mount[1]) for mount in mounts if mount[2] == "cgroup2")
    return next((path for path in found if os.access(path, os.W_OK)), None)
