"""Mounts of one type in every mount namespace that some process is in and we may look into."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from fdstorefs.host import procfs
from fdstorefs.host.mount_table import Mount

_MOST_BYTES = 1 << 26
"""Of one mount table: as many mounts as the kernel allows by default have less."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mount, its mount namespace, and a process whose root directory leads to it; `is_ours`: so does our own."""

    mount: Mount
    namespace: int | None
    pid: int
    is_ours: bool


def find_mounts(fstype: str) -> list[Place]:
    """One place for each file system of this type, ours if it is mounted there, too.

    What begins or ends meanwhile is found or not.
    """
    places: dict[int, Place] = {}
    for namespace, pid in _inhabitants().items():
        for mount in _mounts_of(pid, fstype):
            place = Place(mount, namespace, pid, pid == os.getpid())
            places.setdefault(mount.device, place)
    return list(places.values())


def _inhabitants() -> dict[int | None, int]:
    """A process of each mount namespace, first of all this one of ours."""
    found = {procfs.namespace("mnt"): os.getpid()}
    for pid in sorted(procfs.processes()):
        number = procfs.namespace("mnt", pid)
        if number is not None:
            found.setdefault(number, pid)
    return found


def _mounts_of(pid: int, fstype: str) -> Iterator[Mount]:
    try:
        table = procfs.mounts("self" if pid == os.getpid() else pid, _MOST_BYTES)
    except OSError:
        return  # it has ended, or may not be looked into after all
    # Of those mounted on one place the last is the one to be seen.
    yield from (mount for mount in reversed(table.mounts) if mount.fstype == fstype)
