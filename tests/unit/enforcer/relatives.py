"""Processes that wait to be ended: children of the test's, and of such children."""

import os
import signal

from fdstorefs.enforcer.process import Process, look_at


class Relative:
    """A child of this process, which may have one of its own."""

    def __init__(self) -> None:
        told, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            child = os.fork()
            if child:
                os.write(tell, str(child).encode())
            while True:
                signal.pause()
        self.pidfd = os.pidfd_open(self.pid)
        self.child = int(os.read(told, 20))
        self.child_pidfd = os.pidfd_open(self.child)
        for fd in (told, tell):
            os.close(fd)

    def look(self) -> Process:
        """What the enforcer knows of it."""
        return look_at(self.pid, self.pidfd)[0]

    def look_at_child(self) -> Process:
        """And of its child."""
        return look_at(self.child, self.child_pidfd)[0]

    def end(self) -> None:
        """End both."""
        os.kill(self.child, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for fd in (self.pidfd, self.child_pidfd):
            os.close(fd)
