"""Who asks: the process that made a connection. Nobody else may send on it."""

import os
import socket

from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.server.varlink.ancillary import SO_PEERPIDFD, UCRED
from fdstorefs.server.varlink.peer import kernel_knows_peer_pidfds


class Asker:
    """A process, held. Ids are those of the service's user namespace."""

    def __init__(self, connected: socket.socket) -> None:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        self.pid, self.uid, _ = UCRED.unpack(credentials)
        self._pidfd = _pidfd(connected, self.pid)

    @property
    def pidfd(self) -> int:
        """Its pidfd. Raises NoSuchProcess."""
        if self._pidfd is None:
            raise NoSuchProcess(f"process {self.pid} has ended")
        return self._pidfd

    def require_sender(self, credentials: bytes) -> None:
        """Raise NotPermitted for a message of somebody else: who was given the connection is not who made it."""
        pid, uid, _ = UCRED.unpack(credentials)
        if (pid, uid) != (self.pid, self.uid):
            raise NotPermitted(
                f"process {pid} (uid {uid}) speaks on a connection of process {self.pid} (uid {self.uid})",
                hint="connect yourself",
            )

    def close(self) -> None:
        """Let go of it."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _pidfd(connected: socket.socket, pid: int) -> int | None:
    try:
        if kernel_knows_peer_pidfds():
            return connected.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
        # While the connection is fresh the number is still that of who made it.
        return os.pidfd_open(pid)
    except OSError:
        return None  # it has ended, or we are out of descriptors
