"""A server that runs, as its keeper sees it."""

import os
import signal
import socket
from collections.abc import Sequence
from typing import NamedTuple

from fdstorefs.keeper import wire
from fdstorefs.keeper.wire import Verb


class Server(NamedTuple):
    """Its process, a pidfd of that, and our end of the line to it. Both descriptors are the keeper's."""

    pid: int
    pidfd: int
    line: socket.socket

    def tell(self, verb: Verb, numbers: Sequence[int] = (), descriptors: Sequence[int] = ()) -> bool:
        """Say something to it. False if that cannot be done: it is dead, or about to be."""
        try:
            wire.send(self.line, verb, numbers, descriptors)
        except OSError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send it a signal."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return  # dead, and we are about to notice

    def close(self) -> None:
        """Let go of it, whatever becomes of it."""
        self.line.close()
        os.close(self.pidfd)
