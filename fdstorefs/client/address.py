"""Where an instance is: the default mount, and a connection to the socket in it."""

import errno
import os
import socket

from fdstorefs.errors import Denied, NoInstance, StoreError

SOCKET = ".fdstore"
FALLBACK = "/run/fdstore"

_SUN_PATH = 107
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR)


def default_mount() -> str:
    """$FDSTOREFS_MOUNT, or $XDG_RUNTIME_DIR/fdstore if there is such a thing, or /run/fdstore."""
    named = os.environ.get("FDSTOREFS_MOUNT")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and _is_there(os.path.join(runtime, "fdstore")):
        return os.path.join(runtime, "fdstore")
    return FALLBACK


def _is_there(path: str) -> bool:
    """Whether there is something at a path, be it a mount whose server is dead."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno not in _NOTHING_THERE
    return True


def open_socket(mount: str) -> socket.socket:
    """A blocking connection to the instance at `mount`. Raises NoInstance or Denied."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection, mount)
    except OSError as error:
        connection.close()
        raise _explained(error, mount) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(connection: socket.socket, mount: str) -> None:
    path = os.path.join(os.fsencode(mount), os.fsencode(SOCKET))
    if len(path) <= _SUN_PATH:
        connection.connect(path)
        return
    # A socket address holds no longer path than that; a descriptor of the directory makes any path short.
    directory = os.open(mount, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET}")
    finally:
        os.close(directory)


def _explained(error: OSError, mount: str) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Denied(f"the instance at `{mount}` is closed to you: {_reason(error)}")
    if error.errno in (errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNABORTED):
        return NoInstance(
            f"the instance at `{mount}` has ended and left its mount behind: {_reason(error)}",
            hint=f"take it away with `fdstorefs umount --lazy {mount}`, then `fdstorefs mount {mount}`",
        )
    reason = "" if error.errno in _NOTHING_THERE else f": {_reason(error)}"
    return NoInstance(
        f"no instance serves at `{mount}`{reason}",
        hint=f"start one with `fdstorefs mount {mount}`, or name another with `--at` or $FDSTOREFS_MOUNT",
    )


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
