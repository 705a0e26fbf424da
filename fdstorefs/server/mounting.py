"""Mounting an instance, by mount(2) or through fusermount3: we want the /dev/fuse descriptor ourselves.

Nothing here touches a path inside the mount once it is mounted: the process that would have to answer is this
one, and it isn't serving yet.
"""

import errno
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from typing import Literal, NoReturn

from fdstorefs.host import procfs, syscalls
from fdstorefs.host.mount_table import Mount
from fdstorefs.server import fusermount
from fdstorefs.server.mount_holders import holders_of

DEVICE = "/dev/fuse"
SOURCE = "fdstorefs"
SUBTYPE = "fdstorefs"
FSTYPE = f"fuse.{SUBTYPE}"

# A live server answers at once; one that doesn't within this many seconds is taken to be stuck.
_ANSWER_SECONDS = 5

# fusermount3 is of no help here: it opens the device with the rights of its caller.
_OPENING = {
    errno.EACCES: f"as root: `chmod 666 {DEVICE}`, as udev does on any Debian",
    errno.EPERM: f"in a container: allow it the device (`--device {DEVICE}`)",
}

Method = Literal["mount", "fusermount3"]


class MountError(Exception):
    """Why an instance can't be mounted or unmounted; `hint` says what to do about it, where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mount that waits for its server.

    `device_fd` is its /dev/fuse, not blocking and closed on exec; the kernel's INIT request is in it. When
    the last copy of it is closed the mount is dead. `device` is the st_dev of everything inside.
    """

    device_fd: int
    path: str
    method: Method
    device: int


class _Unprivileged(Exception):
    """mount(2) is closed to this process: fusermount3 may still do it."""


def mount_instance(mountpoint: str, former: int | None = None) -> Mounted:
    """Mount an fdstorefs over a directory and return its device, unserved. Raises MountError.

    A mount of the device `former`, whose server is dead, is taken away first. Needs CAP_SYS_ADMIN in the user
    namespace that owns our mount namespace. Without it fusermount3 does it, and then other users get in only where
    /etc/fuse.conf says `user_allow_other`.
    """
    path = real_mount_point(mountpoint)
    _take_away(path, former)
    _refuse_occupied(path)
    _require_directory(path)
    method: Method
    try:
        device_fd, method = _mount_directly(path), "mount"
    except _Unprivileged:
        device_fd, method = _mount_through_fusermount(path), "fusermount3"
    return Mounted(device_fd, path, method, _device_at(path, device_fd))


def unmount(mountpoint: str, *, lazy: bool = False) -> None:
    """Unmount an instance. Raises MountError, which names who keeps it busy where that can be seen.

    A `lazy` unmount takes the mount out of sight at once and ends it when its last user has gone; it works on
    a dead mount too. A socket bound inside keeps its mount busy until it is closed.
    """
    path = real_mount_point(mountpoint)
    _require_instance(path)
    flags = syscalls.UMOUNT_NOFOLLOW | (syscalls.MNT_DETACH if lazy else 0)
    try:
        syscalls.umount2(path, flags)
    except PermissionError:
        _unmount_through_fusermount(path, lazy)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _busy(path) from None
        raise MountError(f"cannot unmount `{path}`: {_reason(error)}") from error


def real_mount_point(mountpoint: str) -> str:
    """The absolute path as the mount table has it, found without asking a file system mounted there."""
    parent, name = os.path.split(mountpoint.rstrip("/"))
    if name in ("", ".", ".."):
        return os.path.realpath(mountpoint)
    path = os.path.join(os.path.realpath(parent), name)
    return path if mounted_at(path) else os.path.realpath(path)


def mounted_at(path: str) -> Mount | None:
    """The mount that one sees at `path`, the uppermost of those stacked there; None where there is none."""
    stack = [mount for mount in procfs.mounts().mounts if mount.mount_point == path]
    covered = {mount.parent_id for mount in stack}
    return next((mount for mount in stack if mount.mount_id not in covered), None)


def _take_away(path: str, device: int | None) -> None:
    there = mounted_at(path)
    if there is None or there.device != device:
        return
    try:
        # Its server may be stuck in its end, and whoever waits for an answer of it with it.
        syscalls.umount2(path, syscalls.UMOUNT_NOFOLLOW | syscalls.MNT_DETACH | syscalls.MNT_FORCE)
    except OSError:
        unmount(path, lazy=True)


def _refuse_occupied(path: str) -> None:
    there = mounted_at(path)
    if there is None or not there.fstype.startswith("fuse"):
        return
    complaint = _complaint_of(path)
    if "not connected" in complaint:
        raise MountError(
            f"a dead mount is in the way at `{path}`: its server has ended ({complaint})",
            f"take it away: `{_remover(there)} {path}`",
        )
    if there.fstype == FSTYPE:
        raise MountError(
            f"an instance is mounted at `{path}` already" + (f" ({complaint})" if complaint else ""),
            f"use it, end it with `fdstorefs umount {path}`, or choose another directory",
        )


def _remover(there: Mount) -> str:
    return "fdstorefs umount --lazy" if there.fstype == FSTYPE else "umount --lazy"


def _complaint_of(path: str) -> str:
    """What stat(1) has to say about a mounted FUSE file system; empty when all is well.

    Another process asks: whoever asks a server that is stuck is stuck with it.
    """
    try:
        done = subprocess.run(
            ["stat", "--format=%s", "--", path],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"its server didn't answer within {_ANSWER_SECONDS} seconds"
    return done.stderr.strip().rpartition(": ")[2].lower()


def _require_directory(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise MountError(f"the mount point `{path}` does not exist", f"make it: `mkdir -p {path}`") from None
    except OSError as error:
        raise MountError(f"cannot reach `{path}`: {_reason(error)}") from error
    if not stat.S_ISDIR(mode):
        raise MountError(
            f"the mount point `{path}` is not a directory", "an instance is mounted over a directory"
        )


def _mount_directly(path: str) -> int:
    device_fd = open_device()
    options = f"fd={device_fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    try:
        syscalls.mount(SOURCE, path, FSTYPE, syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
    except OSError as error:
        os.close(device_fd)
        _explain_mount(path, error)
    return device_fd


def open_device() -> int:
    """A new connection to FUSE, not blocking and closed on exec. Raises MountError."""
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise MountError(
            f"there is no {DEVICE}",
            "as root: `modprobe fuse`; in a container: pass the device in (`--device /dev/fuse`)",
        ) from None
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise _no_kernel_fuse() from None
        hint = _OPENING.get(error.errno or 0, "")
        raise MountError(f"cannot open {DEVICE}: {_reason(error)}", hint) from error


def _explain_mount(path: str, error: OSError) -> NoReturn:
    """Raise what a failed mount(2) means."""
    if error.errno == errno.ENODEV:
        raise _no_kernel_fuse() from None
    if error.errno == errno.EPERM:
        raise _Unprivileged from None
    raise MountError(f"cannot mount over `{path}`: {_reason(error)}") from error


def _no_kernel_fuse() -> MountError:
    return MountError(
        "this kernel has no FUSE", "as root: `modprobe fuse`, or run a kernel built with CONFIG_FUSE_FS"
    )


def _mount_through_fusermount(path: str) -> int:
    _require_own_directory(path)
    try:
        return fusermount.mount(path, SOURCE, SUBTYPE)
    except fusermount.FusermountMissing:
        raise MountError(
            f"cannot mount over `{path}`: you aren't root, and there is no fusermount3",
            "as root: install the package `fuse3`; or use `fdstorefs run -- COMMAND`, which needs neither",
        ) from None
    except fusermount.FusermountRefused as refusal:
        raise MountError(
            f"cannot mount over `{path}`: fusermount3 refused: {refusal}",
            "`fdstorefs run -- COMMAND` needs no fusermount3",
        ) from None


def _require_own_directory(path: str) -> None:
    """What fusermount3 asks of a mount point, in words that say whose it is."""
    about = os.stat(path)
    sticky_of_another = about.st_mode & stat.S_ISVTX and about.st_uid != os.getuid()
    if os.access(path, os.W_OK) and not sticky_of_another:
        return
    raise MountError(
        f"you may not mount over `{path}`: it belongs to `{_user_name(about.st_uid)}`",
        "choose a directory of yours, such as `$XDG_RUNTIME_DIR/fdstore`, or use `fdstorefs run -- COMMAND`",
    )


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _device_at(path: str, device_fd: int) -> int:
    there = mounted_at(path)
    if there is None or there.fstype != FSTYPE:
        os.close(device_fd)
        raise MountError(
            f"`{path}` was mounted and is gone again", "did somebody unmount it at the same moment?"
        )
    return there.device


def _require_instance(path: str) -> None:
    there = mounted_at(path)
    if there is None:
        raise MountError(f"nothing is mounted at `{path}`", "`findmnt -t fuse.fdstorefs` lists what is")
    if there.fstype != FSTYPE:
        raise MountError(
            f"`{path}` is no instance but a mount of type `{there.fstype}`", "umount(8) is for those"
        )


def _unmount_through_fusermount(path: str, lazy: bool) -> None:
    try:
        fusermount.unmount(path, lazy=lazy)
    except fusermount.FusermountMissing:
        raise MountError(f"cannot unmount `{path}`: you aren't root, and there is no fusermount3") from None
    except fusermount.FusermountRefused as refusal:
        if "busy" in str(refusal).lower():
            raise _busy(path) from None
        raise MountError(f"cannot unmount `{path}`: fusermount3 refused: {refusal}") from None


def _busy(path: str) -> MountError:
    holders = ", ".join(f"`{holder.name}` (pid {holder.pid})" for holder in holders_of(path))
    return MountError(
        f"`{path}` is busy: "
        + (f"in use by {holders}" if holders else "in use by a process that you can't see"),
        f"end that, or `fdstorefs umount --lazy {path}`",
    )
