"""The maker of a connection: the process behind it, held. Nobody else may send on it."""

import os
import socket

from fdstorefs.errors import NoSuchProcess, NotPermitted
from fdstorefs.server.varlink.ancillary import SO_PEERPIDFD, UCRED
from fdstorefs.server.varlink.peer import kernel_knows_peer_pidfds


class Maker:
    """A process, with its ids in our user namespace.

    A kernel before 6.5 tells a number only, which is turned into a pidfd while the connection is fresh.
    """

    def __init__(self, connected: socket.socket) -> None:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        self.pid, self.uid, self.gid = UCRED.unpack(credentials)
        self._pidfd = _pidfd(connected, self.pid)

    @property
    def pidfd(self) -> int:
        """Its pidfd, which stays ours. Raises NoSuchProcess."""
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
        return os.pidfd_open(pid)
    except OSError:
        return None  # it has ended, or we are out of descriptors
