"""Whether an enforcer runs, and what one leaves that was killed."""

import errno
import os
import socket
import stat

_NOBODY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED})


def is_running(path: str) -> bool:
    """Whether somebody listens on the enforcer's socket. Raises OSError where it cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connected:
        connected.setblocking(False)
        try:
            connected.connect(path)
        except BlockingIOError:
            return True  # so many want something of it that its backlog is full
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            raise
        return True


def remove_leftover(path: str) -> None:
    """Remove the socket of an enforcer that did not end in order, if there is one. Raises OSError."""
    try:
        if stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
