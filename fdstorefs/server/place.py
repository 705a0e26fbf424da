"""Where an instance is mounted: in the mount namespace of its server, or in another, which that never enters."""

import os
from typing import Protocol

from fdstorefs.host import procfs, syscalls
from fdstorefs.server.mounting import Mounted, mount_instance, real_mount_point, unmount


class Place(Protocol):
    """A mount namespace, as far as an instance needs it. What it raises is MountError, if not said otherwise."""

    def find(self, mountpoint: str) -> str:
        """The absolute path of a mount point as the mount table there has it."""

    def mount(self, path: str, former: int | None) -> Mounted:
        """Mount there, unserved. A mount of the device `former`, whose server is dead, is taken away first."""

    def unmount(self, mounted: Mounted) -> None:
        """Take it out of sight, and have it end when its last user has gone; nothing, if it is not there any more."""

    def open_root(self, mounted: Mounted) -> int:
        """A descriptor of the mount's root, to be closed, through which one can bind a socket there. Raises OSError."""

    def open_table(self) -> int:
        """A descriptor of the mount table, of the caller's own, that polls POLLPRI when it changes. Raises OSError."""


class OwnPlace:
    """The server's own mount namespace."""

    def find(self, mountpoint: str) -> str:
        """As `Place` has it."""
        return real_mount_point(mountpoint)

    def mount(self, path: str, former: int | None) -> Mounted:
        """As `Place` has it."""
        return mount_instance(path, former)

    def unmount(self, mounted: Mounted) -> None:
        """As `Place` has it."""
        if procfs.mounts().on_device(mounted.device) is not None:
            unmount(mounted.path, lazy=True)

    def open_root(self, mounted: Mounted) -> int:
        """A private, detached copy of the mount where we may make one: what is bound there keeps no mount busy."""
        try:
            return syscalls.open_tree(mounted.path, syscalls.OPEN_TREE_CLONE | syscalls.OPEN_TREE_CLOEXEC)
        except PermissionError:
            # Mounted through fusermount3 for an ordinary user. The path is all there is.
            return os.open(mounted.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_table(self) -> int:
        """As `Place` has it."""
        return procfs.open_mountinfo()
