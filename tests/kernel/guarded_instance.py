"""An instance that the kernel guards, as a test sees it."""

import os
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from fdstorefs.enforcer.options import SOCKET
from fdstorefs.server.mounting import unmount
from tests.kernel import compromised_server
from tests.kernel.actor import Actor, Obedient
from tests.kernel.command_process import CommandProcess
from tests.mount.cast import mounted_below


class GuardedInstance:
    """A server, which `actor` becomes, and the directory that it is mounted on.

    `inside` does calls in the server's own process, so there is no keeper between. See compromised_server.py.
    """

    def __init__(self, actor: Actor, mount: Path, *, compromised: bool, options: Sequence[str] = ()) -> None:
        self.mount = str(mount)
        self.compromised = compromised
        mount.mkdir(parents=True)
        os.chown(mount, actor.role.uid, actor.role.uid)
        arguments = ["serve", "--no-keeper", "--enforcement", "kernel", *options, self.mount]
        self._process = CommandProcess(actor, arguments, compromised_server.run, compromised)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.inside = Obedient(actor.pid, ours)
        with theirs:
            self._process.start(theirs.fileno())

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def protect(self, keeper: int) -> None:
        """Have a process guarded as the instance's keeper."""
        pidfd = os.pidfd_open(keeper)
        try:
            self.inside.call(compromised_server.protect, SOCKET, self.mount, descriptors=(pidfd,))
        finally:
            os.close(pidfd)

    def said(self) -> str:
        """Everything that the server has printed so far."""
        return self._process.said()

    def stop(self) -> int:
        """End the server in order, and return its exit code."""
        self._process.signal(signal.SIGTERM)
        return self._process.outcome()

    def end(self) -> None:
        """Be rid of the server, and of its mount."""
        self._process.end()
        self.inside.line.close()
        for mount in mounted_below(self.mount):
            unmount(mount, lazy=True)
        shutil.rmtree(self.mount)
