"""Cgroups: which one a task is in, from the text of its cgroup file, and the kernel's number for it."""

import os
from functools import lru_cache
from typing import NamedTuple

from fdstorefs.host.mount_table import MountTable

ROOT = "/"
_DELETED = " (deleted)"
_VERSION_2 = (b"0", b"")
_SYSTEMD = b"name=systemd"
_FIELDS = 3
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
    be told. Nor can anything in a text that isn't as the kernel writes it.
    """
    # Whoever may make cgroups names them, with any byte but NUL and the newline: nothing else may end a line.
    lines = [line.split(b":", 2) for line in text.removesuffix(b"\n").split(b"\n")]
    if any(len(line) != _FIELDS for line in lines):
        return None
    unified = [path for number, controllers, path in lines if (number, controllers) == _VERSION_2]
    systemd = [path for _, controllers, path in lines if controllers == _SYSTEMD]
    if len(unified) > 1 or len(systemd) > 1:
        return None
    if systemd and unified in ([], [b"/"]):
        return _checked(systemd[0], 1)
    return _checked(unified[0], 2) if unified else None


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
