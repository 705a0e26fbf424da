"""Sightings: what stands at a path at one moment, to tell later whether it is still the same."""

import os
import stat
from typing import NamedTuple


class Sighting(NamedTuple):
    """What changes whenever a file is written, or another is put in its place; times in nanoseconds.

    The last three are zero where only which file it is counts.
    """

    device: int
    inode: int
    size: int = 0
    modified: int = 0
    changed: int = 0


def sighting_of(found: os.stat_result) -> Sighting:
    """What was found, and that it was not written to."""
    return Sighting(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def sighting_on_the_way(place: str) -> Sighting | None:
    """What a name stands for by itself, None if it cannot be seen: a link with its target, but any directory.

    Other things come and go in a directory that is only passed through.
    """
    try:
        found = os.lstat(place)
    except OSError:
        return None
    return Sighting(found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else sighting_of(found)


def sighting_at(path: str) -> Sighting | None:
    """What a path leads to, None if that cannot be seen. What is in a directory counts."""
    try:
        return sighting_of(os.stat(path))
    except OSError:
        return None
