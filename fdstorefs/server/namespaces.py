"""A user and mount namespace of our own, and directories in it that we may write to.

The caller has one thread: the kernel moves no process with several into a new user namespace.
"""

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from fdstorefs.host import procfs, syscalls
from fdstorefs.server.mounting import mounted_at, real_mount_point

_SELF = "/proc/self"
_SYSCTLS = "/proc/sys"
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)

_Kind = Literal["directory", "symlink", "other"]


class NamespaceError(Exception):
    """Why there is no namespace or no directory in it; `hint` says what to do, where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Switch:
    """A sysctl that keeps users from making user namespaces while it has the value `off`."""

    name: str
    off: str
    on: str

    def is_off(self) -> bool:
        return _sysctl(self.name) == self.off


_SWITCHES = (
    _Switch("user.max_user_namespaces", off="0", on="10000"),
    _Switch("kernel.unprivileged_userns_clone", off="0", on="1"),
    _Switch("kernel.apparmor_restrict_unprivileged_userns", off="1", on="0"),
)


def enter_new_user_namespace(*, map_root: bool = False) -> None:
    """Move this process into a new user namespace and a new mount namespace that it owns.

    It is mapped to itself, or to root with `map_root`; no other user is mapped, and supplementary groups
    can't be changed. Nobody outside sees what is mounted from here on. Raises NamespaceError; the process may
    then be in a namespace that is of no use, and should end.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        _write_own("setgroups", "deny")
        _write_own("uid_map", f"{0 if map_root else uid} {uid} 1")
        _write_own("gid_map", f"{0 if map_root else gid} {gid} 1")
        make_mounts_private()
    except OSError as error:
        raise _no_user_namespace(error) from error


def make_mounts_private() -> None:
    """Cut every mount of this namespace loose from its peers: what is mounted here stays here."""
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)


def ensure_mount_point(mountpoint: str) -> None:
    """See to it that `mountpoint` is a directory to mount over, in a mount namespace of our own.

    Makes it, and what leads to it, where it is missing. A directory that we may not write to is covered by
    one that we may (`open_up`). A FUSE file system that is mounted there already is covered by an empty
    directory, and isn't asked. Raises NamespaceError.
    """
    path = real_mount_point(mountpoint)
    try:
        if _shows_fuse(path):
            _cover(path)
        else:
            _ensure_directory(path)
    except OSError as error:
        raise NamespaceError(f"cannot make the mount point `{path}`: {_reason(error)}") from error


def open_up(directory: str, keep: Collection[str] | None = None) -> None:
    """Cover a directory with a new one, owned by us and open to all, that has the same children.

    For a mount namespace of our own, where it lets us make a name in a directory that isn't ours, or lets
    others reach what lies below a directory closed to them. `keep` names the children that stay in sight;
    None means all. Children made later in the covered directory don't appear. Raises OSError.
    """
    below = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        children = [(name, kind) for name, kind in _children(directory) if keep is None or name in keep]
        _cover(directory)
        for name, kind in children:
            _bring_back(directory, name, kind, below)
    finally:
        os.close(below)


def _cover(directory: str) -> None:
    syscalls.mount("tmpfs", directory, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")


def _children(directory: str) -> list[tuple[str, _Kind]]:
    # What a child is comes from the directory: a mounted child may belong to a server that doesn't answer.
    with os.scandir(directory) as entries:
        return [(entry.name, _kind_of(entry)) for entry in entries]


def _kind_of(entry: "os.DirEntry[str]") -> _Kind:
    if entry.is_symlink():
        return "symlink"
    return "directory" if entry.is_dir(follow_symlinks=False) else "other"


def _bring_back(directory: str, name: str, kind: _Kind, below: int) -> None:
    path = os.path.join(directory, name)
    if kind == "symlink":
        os.symlink(os.readlink(name, dir_fd=below), path)
        return
    if kind == "directory":
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    syscalls.mount(f"{procfs.path_of(below)}/{name}", path, None, syscalls.MS_BIND | syscalls.MS_REC)


def _shows_fuse(path: str) -> bool:
    there = mounted_at(path)
    return there is not None and there.fstype.startswith("fuse")


def _ensure_directory(path: str) -> None:
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _ensure_directory(parent)
    try:
        os.mkdir(path)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        open_up(parent)
        os.mkdir(path)


def _write_own(name: str, text: str) -> None:
    with open(f"{_SELF}/{name}", "w", encoding="ascii") as file:
        file.write(text)


def _no_user_namespace(error: OSError) -> NamespaceError:
    switch = next((switch for switch in _SWITCHES if switch.is_off()), None)
    if switch is not None:
        return NamespaceError(
            f"user namespaces are switched off here: `{switch.name}` is {switch.off}",
            f"as root: `sysctl {switch.name}={switch.on}`",
        )
    if error.errno == errno.ENOSPC:
        return NamespaceError(
            "there are too many user namespaces, or they are nested too deep",
            "end some, or raise `user.max_user_namespaces`",
        )
    if error.errno == errno.EINVAL and len(os.listdir(f"{_SELF}/task")) > 1:
        return NamespaceError("a process with several threads can't enter a new user namespace")
    return NamespaceError(
        f"cannot make a user namespace: {_reason(error)}",
        "a container's seccomp filter, a chroot, or a kernel without CONFIG_USER_NS may be why",
    )


def _sysctl(name: str) -> str | None:
    """The value of a sysctl; None where this kernel has none of that name, or keeps it to itself."""
    try:
        with open(f"{_SYSCTLS}/{name.replace('.', '/')}", encoding="ascii") as file:
            return file.read().strip()
    except (FileNotFoundError, PermissionError):
        return None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
