"""A socket that one service at a time listens at, which has a lock for that."""

import logging
import os
import socket

BACKLOG = 512
DIRECTORY_MODE, SOCKET_MODE = 0o755, 0o666

log = logging.getLogger(__name__)


def listen_at(path: str) -> socket.socket:
    """A listening socket for everybody, in place of what a former service left; the caller has the lock.

    Raises OSError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        # As early as this: who connects before somebody is there to accept gets it from here, too.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        listening.bind(path)
        os.chmod(path, SOCKET_MODE)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def remove(path: str) -> None:
    """Take the socket away, if nobody has."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        log.debug("somebody has removed the socket")
