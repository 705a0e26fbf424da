"""Cgroups: which one a task is in, from the text of its cgroup file, and the kernel's number for it."""

import os
from functools import lru_cache
from typing import NamedTuple

from fdstorefs.host.mount_table import MountTable

ROOT = "/"
_DELETED = " (deleted)"
_VERSION_2 = b"0::"
_SYSTEMD = b":name=systemd:"
_TEXTS = 512
"""Texts whose meaning is remembered: processes of the same cgroups have the same."""


class Place(NamedTuple):
    """The cgroup of a task, as seen from our own cgroup namespace, and which version's hierarchy it is in."""

    path: str
    version: int


@lru_cache(maxsize=_TEXTS)
def place_in(text: bytes) -> Place | None:
    """The place that a cgroup file tells; None if there is none that could be told.

    It is that of version 2. On a host that still tracks services in systemd's own hierarchy of version 1,
    version 2 is missing, or mounted by somebody and everything is in its root: then the place in systemd's
    hierarchy counts. What lies outside our cgroup namespace (`/..`) or has been removed (` (deleted)`) cannot
    be told.
    """
    path = systemd = None
    for line in text.splitlines():
        if line.startswith(_VERSION_2):
            path = line[len(_VERSION_2) :]
        elif _SYSTEMD in line:
            systemd = line.split(b":", 2)[2]
    if systemd is None or (path is not None and path != b"/"):
        return None if path is None else _checked(path, 2)
    return _checked(systemd, 1)


def _checked(path: bytes, version: int) -> Place | None:
    name = os.fsdecode(path)
    outside = name == "/.." or name.startswith("/../")
    return None if outside or name.endswith(_DELETED) or not name.startswith("/") else Place(name, version)


def find_hierarchy(table: MountTable) -> str | None:
    """Where the version 2 hierarchy is mounted from its root on; None where it isn't."""
    points = (mount.mount_point for mount in table.mounts if mount.fstype == "cgroup2" and mount.root == ROOT)
    return next(points, None)


def number_of(place: Place, hierarchy: str | None) -> int | None:
    """The number that the kernel has for a cgroup of version 2; None if it is gone or cannot be seen.

    `hierarchy` is where version 2 is mounted.
    """
    if hierarchy is None or place.version != 2:
        return None
    try:
        return os.stat(hierarchy + place.path).st_ino
    except OSError:
        return None
