"""Control groups that last as long as a test."""

from pathlib import Path

from tests.mount.waiting import wait_for

ROOT = Path("/sys/fs/cgroup")


def make(name: str) -> Path:
    """A new control group, `name` below the root; those above it are made where they are missing."""
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir()
    return path


def members(path: Path) -> list[int]:
    """The processes in it, not counting those further down."""
    return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]


def remove(path: Path) -> None:
    """Kill whatever is in it and below, wait for the end of that, and remove all, deepest first."""
    if not path.exists():
        return
    (path / "cgroup.kill").write_text("1")
    wait_for(lambda: "populated 0" in (path / "cgroup.events").read_text(), what=f"{path} to be empty")
    for below in sorted(path.glob("**/"), reverse=True):
        below.rmdir()
