"""Whether a mount is the caller's: found out without a question to the mount, whose server waits for our answer."""

import os
import stat
from typing import NamedTuple, Protocol

from fdstorefs.enforcer.errors import NotAMount
from fdstorefs.enforcer.process import Process
from fdstorefs.host import procfs
from fdstorefs.host.mount_table import Mount, MountTable
from fdstorefs.host.recursion import FILESYSTEM

FUSE_MAGIC = 0x6573_5546
_MINOR_BITS = 20
_HINT = "pass a descriptor of the mount's root, opened with O_PATH|O_DIRECTORY, and the path that it is mounted on"


class Seen(NamedTuple):
    """A mount whose server the caller is. `device` is as the kernel has it inside (s_dev)."""

    path: str
    device: int


class Inode(Protocol):
    """What the kernel says of a descriptor's inode. `owner_userns` owns the file system."""

    @property
    def device(self) -> int:
        """The file system's device, as s_dev."""

    @property
    def magic(self) -> int:
        """The file system's magic number."""

    @property
    def mode(self) -> int:
        """The inode's mode."""

    @property
    def owner_userns(self) -> int:
        """The user namespace that the file system belongs to."""


def served_by(process: Process, mounts: MountTable, descriptor: int, path: str, seen: Inode) -> Seen:
    """The mount behind a descriptor, if `process`, with these `mounts`, serves it at `path`. Raises NotAMount.

    The kernel's `seen` is what cannot be forged. Whose uid serves it stands in the mount table, as a number of the
    user namespace that owns the mount; so that must be the process's own.
    """
    mount = _mount_of(mounts, descriptor)
    if mount is None or mount.fstype != FILESYSTEM or mount.root != "/":
        raise NotAMount("the descriptor is not of an fdstorefs mount that the caller sees", hint=_HINT)
    if mount.mount_point != path:
        raise NotAMount(
            f"the descriptor's mount is at `{mount.mount_point}`, not at `{path}`", name=path, hint=_HINT
        )
    if seen.magic != FUSE_MAGIC or seen.device != in_the_kernel(mount.device) or not stat.S_ISDIR(seen.mode):
        raise NotAMount("the descriptor is not of the root of a FUSE mount", name=path, hint=_HINT)
    if seen.owner_userns != process.userns.numbers[0]:
        raise NotAMount(f"`{path}` was mounted in another user namespace", name=path, hint="mount it anew")
    if process.inner_uid is None or f"user_id={process.inner_uid}" not in mount.options:
        raise NotAMount(f"`{path}` is another user's mount", name=path, hint="serve what you mounted")
    return Seen(path, seen.device)


def in_the_kernel(device: int) -> int:
    """A device number of stat(2) as the kernel itself has it."""
    return os.major(device) << _MINOR_BITS | os.minor(device)


def _mount_of(mounts: MountTable, descriptor: int) -> Mount | None:
    return mounts.by_id(int(procfs.fdinfo_field(procfs.fdinfo(descriptor), "mnt_id")))
