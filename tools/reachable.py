"""A way for ordinary users to a clone that lies behind a directory closed to them."""

import os
import stat
from pathlib import Path

from fdstorefs.host import syscalls
from fdstorefs.server.namespaces import make_mounts_private, open_up


def enter_own_mount_namespace() -> None:
    """Move this process to a mount namespace of its own; what it mounts ends with it and its children."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    make_mounts_private()


def closed_on_the_way(directory: Path) -> list[Path]:
    """Which of the directories from / to this one, itself included, others may not enter."""
    way = [*reversed(directory.parents), directory]
    return [step for step in way if not step.stat().st_mode & stat.S_IXOTH]


def open_the_way(directory: Path) -> None:
    """Cover each closed directory on the way by an open one that shows the next step only.

    For a mount namespace of our own. What lies in `directory` itself is seen with the rights that it has.
    """
    here = os.getcwd()
    for closed in closed_on_the_way(directory):
        inside = directory.relative_to(closed).parts
        open_up(str(closed), inside[:1] or None)
    os.chdir(here)  # the same path, now through the open directories
