"""The socket of the service, and its place, which one service has at a time."""

import fcntl
import logging
import os
import stat

from fdstorefs.containers.errors import HostError
from fdstorefs.server.varlink.listening import DIRECTORY_MODE, listen_at, remove

log = logging.getLogger(__name__)


class Door:
    """A listening socket, and a lock beside it."""

    def __init__(self, path: str) -> None:
        """Raises HostError if another service listens there, or the socket cannot be made."""
        self._path = path
        try:
            os.makedirs(os.path.dirname(path), DIRECTORY_MODE, exist_ok=True)
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise HostError(f"cannot serve at `{path}`: {error.strerror}") from error
        try:
            _require_ours(os.path.dirname(path))
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.listening = listen_at(path)
        except BlockingIOError as error:
            os.close(self._lock)
            raise HostError(f"another service listens at `{path}`", hint="stop it first") from error
        except OSError as error:
            os.close(self._lock)
            if isinstance(error, HostError):
                raise
            raise HostError(f"cannot serve at `{path}`: {error.strerror}") from error

    def close(self) -> None:
        """Let another in."""
        self.listening.close()
        remove(self._path)
        os.close(self._lock)


def _require_ours(directory: str) -> None:
    """Who can write there could put a socket of his own in the place of ours, and records beside it."""
    found = os.stat(directory)
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HostError(
            f"`{directory}` can be written by others, who could put a socket of theirs in the place of ours",
            hint="give `--socket` in a directory that is yours alone",
        )
    if not found.st_mode & stat.S_IXOTH and os.geteuid() == 0:
        log.warning(
            "`%s` is closed to others: an instance whose keeper dies will not reach us to get another",
            directory,
        )
