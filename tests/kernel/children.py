"""Children of actors and servers, which do what a test tells them as those do."""

import os
import select
import signal
import socket

from tests.kernel import registering
from tests.kernel.actor import Obedient
from tests.kernel.role import be_as_from_a_login, obey

_FIRST_OF_ITS_OWN = 3
_MOST_DESCRIPTORS = 1 << 16


class Child(Obedient):
    """A child of the process that `parent` is. It has nothing of what its parent has open, and stays when that ends."""

    def __init__(self, parent: Obedient) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            super().__init__(parent.call(beget, descriptors=(theirs.fileno(),)), ours)

    def end(self) -> None:
        """Kill it if it lives."""
        self.line.close()
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [])
        os.close(pidfd)


def beget(line: int) -> int:
    """Have a child that does the calls which come through `line`; its number."""
    pid = os.fork()
    if pid == 0:
        try:
            registering.forget_lines()
            os.closerange(_FIRST_OF_ITS_OWN, line)
            os.closerange(line + 1, _MOST_DESCRIPTORS)
            be_as_from_a_login()
            obey(socket.socket(fileno=line))
        finally:
            os._exit(0)
    os.close(line)
    return pid
