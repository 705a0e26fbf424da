"""Finding the enforcer, and making sure that it is the host's own."""

import errno
import os
import socket
import stat
from struct import Struct

from fdstorefs.host import procfs
from fdstorefs.server.guarding.line import PATIENCE, Line
from fdstorefs.server.mounting import MountError

_UCRED = Struct("=iII")
_NOBODY_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)


class EnforcementError(MountError):
    """Why an instance that the kernel is to enforce the policy for does not serve."""


class NobodyThere(Exception):
    """No enforcer listens."""


class Gone(NobodyThere):
    """One did, and its socket is still there: what it had the kernel enforce is in force."""


def find(path: str) -> Line:
    """A line to the enforcer that listens at `path`. Raises NobodyThere (Gone), or EnforcementError for an impostor.

    What tells the real one in the end is that the kernel knows this instance after it was registered; nobody else can
    bring that about.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    is_socket = False
    try:
        found = os.stat(path)
        is_socket = stat.S_ISSOCK(found.st_mode)
        _check_owner(path, found.st_uid)
        connected.settimeout(PATIENCE)
        connected.connect(path)
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _check_owner(path, _UCRED.unpack(credentials)[1])
    except OSError as error:
        connected.close()
        if error.errno == errno.ECONNREFUSED and is_socket:
            raise Gone(f"the enforcer that listened at {path} is gone") from error
        if error.errno in _NOBODY_THERE:
            raise NobodyThere(f"no enforcer listens at {path}") from error
        raise EnforcementError(
            f"cannot reach the enforcer at {path}: {error.strerror or error}",
            "see who may search the directory and write to the socket, or serve with `--enforcement daemon`",
        ) from error
    except BaseException:
        connected.close()
        raise
    return Line(connected)


def _check_owner(path: str, uid: int) -> None:
    if uid not in _owners():
        raise EnforcementError(
            f"what listens at {path} is not the host's enforcer: it belongs to uid {uid}, not to root",
            "name the enforcer's own socket, or serve with `--enforcement daemon`",
        )


def _owners() -> tuple[int, ...]:
    """Root as this user namespace sees it: a namespace may have a root of its own, and no number for the host's."""
    return (0,) if procfs.identity_is_whole("uid") else (0, procfs.overflow_uid())
