"""Which processes keep a mount busy: asked only after the kernel has said that one is."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from fdstorefs.host import procfs

_PROC = "/proc"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with its working directory, root, program or a descriptor inside a mount."""

    pid: int
    name: str


def holders_of(path: str) -> list[Holder]:
    """The processes we may look into that use something at or below `path`; reads links, follows none."""
    pids = sorted(int(name) for name in os.listdir(_PROC) if name.isdecimal())
    return [Holder(pid, _name_of(pid)) for pid in pids if _uses(pid, path)]


def _uses(pid: int, path: str) -> bool:
    return any(link == path or link.startswith(path + "/") for link in _links_of(pid))


def _links_of(pid: int) -> Iterator[str]:
    task = f"{_PROC}/{pid}"
    for link in ("cwd", "root", "exe"):
        yield from _read_link(f"{task}/{link}")
    try:
        numbers = os.listdir(f"{task}/fd")
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return  # another user's, or gone meanwhile: neither can be named
    for number in numbers:
        yield from _read_link(f"{task}/fd/{number}")


def _read_link(link: str) -> Iterator[str]:
    try:
        yield os.readlink(link)
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return  # another user's, or gone meanwhile: neither can be named


def _name_of(pid: int) -> str:
    try:
        return procfs.command(pid)
    except ProcessLookupError:
        return "?"
