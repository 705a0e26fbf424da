"""Askers: who is connected to the service, and for whom each counts there.

A container has 65,536 users and may make as many namespaces, so that it counts as one whatever its processes are. All
that is in another mount namespace than the service is in a container; nobody gets from there into the host's.
"""

import os
import socket
from collections.abc import Callable

from fdstorefs.containers.places import Kind, Standing
from fdstorefs.host.task import Task, namespace_number
from fdstorefs.host.user_namespaces import outermost
from fdstorefs.server.varlink.maker import Maker

_ROOT = 0


class Asker(Maker):
    """The maker of a connection. `is_server` says of a process whether it is the server of an instance on record."""

    def __init__(self, connected: socket.socket, is_server: Callable[[int], bool]) -> None:
        super().__init__(connected)
        self.standing = self._find_standing(is_server)

    def _find_standing(self, is_server: Callable[[int], bool]) -> Standing:
        try:
            task = Task.hold(self.pid, self.pidfd)
        except OSError:
            return Standing(Kind.USER, self.uid)  # it has ended, or is hidden from us: nothing is kept for it
        try:
            return self._standing_of(task, is_server)
        except OSError:
            return Standing(Kind.USER, self.uid)
        finally:
            task.close()

    def _standing_of(self, task: Task, is_server: Callable[[int], bool]) -> Standing:
        ours = Task(os.getpid())
        if task.namespace("mnt") != ours.namespace("mnt"):
            return Standing(Kind.CONTAINER, _number_of_container(task))
        if self.uid in (_ROOT, os.geteuid()):
            return Standing(Kind.ROOT, self.uid)
        if task.namespace("user") != ours.namespace("user") and is_server(self.pid):
            return Standing(Kind.SERVER, self.pid)
        return Standing(Kind.USER, self.uid)


def _number_of_container(task: Task) -> int:
    if task.namespace("user") == Task(os.getpid()).namespace("user"):
        return namespace_number(task.namespace("mnt"))
    return outermost(task.open_user_namespace())
