"""Whether an enforcer runs."""

import errno
import socket

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
