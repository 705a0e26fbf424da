"""Mounting in a container: each function here is the work of an errand, and sees the container's paths.

Whoever is root in the container decides where these lead. None leads out of it: all are walked from its root
directory, in its mount namespace, and no link of a /proc is followed.
"""

import errno
import os

from fdstorefs.containers.errand import Brought, Inside
from fdstorefs.host import syscalls
from fdstorefs.host.mount_table import Mount
from fdstorefs.server.mounting import FSTYPE, SOURCE, SUBTYPE, MountError

_DIRECTORY_MODE = 0o755
_WITHIN = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_TAKE_AWAY = syscalls.MNT_DETACH | syscalls.MNT_FORCE


def find(inside: Inside, mountpoint: str) -> Brought:
    """Make the mount point if there is none, and tell its path without symbolic links."""
    return Brought({"path": inside.path_of(_directory(inside, mountpoint))})


def mount(inside: Inside, path: str, device: int, former: int | None) -> Brought:
    """Mount for this connection to FUSE. A dead instance's mount is taken away, and that of the device `former`.

    Brings the new mount's device, a detached copy of it, and two descriptors of the mount table.
    """
    _make_way(inside, path, former)
    directory = _directory(inside, path)
    options: dict[str, str | None] = {
        "source": SOURCE,
        "subtype": SUBTYPE,
        "fd": str(device),
        "rootmode": "40000",
        "user_id": str(os.getuid()),
        "group_id": str(os.getgid()),
        "allow_other": None,
    }
    try:
        made = syscalls.new_mount("fuse", options, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV)
        syscalls.attach_mount(made, directory)
    except OSError as error:
        raise MountError(f"cannot mount over `{path}` in the container: {_reason(error)}") from error
    try:
        found = syscalls.statx_cached(made).dev
        return Brought(
            {"device": found}, (syscalls.copy_mount(made), inside.open_table(), inside.open_table())
        )
    except BaseException:
        inside.unmount(made, syscalls.MNT_DETACH)
        raise


def unmount(inside: Inside, device: int) -> Brought:
    """Take the mount of a device away, wherever it is by now; nothing, if it is gone."""
    there = inside.mounts().on_device(device)
    if there is not None:
        found = _open(inside.root, there.mount_point)
        if syscalls.statx_cached(found).dev == device:
            inside.unmount(found, syscalls.MNT_DETACH)
    return Brought({})


def _make_way(inside: Inside, path: str, former: int | None) -> None:
    directory = _directory(inside, path)
    there = inside.mounted_at(directory)
    if there is None or not there.fstype.startswith("fuse"):
        return
    if there.device == former or (there.fstype == FSTYPE and _is_dead(directory)):
        inside.unmount(directory, _TAKE_AWAY)
        return
    _refuse(there, path)


def _refuse(there: Mount, path: str) -> None:
    if there.fstype == FSTYPE:
        raise MountError(
            f"an instance is mounted at `{path}` in the container already",
            "use it, or choose another directory",
        )


def _is_dead(directory: int) -> bool:
    try:
        os.fstat(directory)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def _directory(inside: Inside, path: str) -> int:
    """A directory of the container, made, with those above it, where it is missing."""
    found = inside.root
    for end in [at for at, letter in enumerate(path + "/") if letter == "/" and at]:
        try:
            found = _step(inside, found, path[:end])
        except NotADirectoryError:
            raise MountError(
                f"`{path[:end]}` in the container is not a directory", "choose another mount point"
            ) from None
        except OSError as error:
            raise MountError(f"cannot reach `{path}` in the container: {_reason(error)}") from error
    return found


def _step(inside: Inside, above: int, path: str) -> int:
    try:
        return _open(inside.root, path)
    except FileNotFoundError:
        try:
            os.mkdir(os.path.basename(path), _DIRECTORY_MODE, dir_fd=above)
        except FileExistsError:
            pass  # it came at this moment; or it is a link that leads nowhere, which shows now
        return _open(inside.root, path)


def _open(root: int, path: str) -> int:
    return syscalls.openat2(root, path, os.O_PATH | os.O_DIRECTORY, _WITHIN)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
