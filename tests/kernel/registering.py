"""Servers of nothing: what an actor does that mounts something and speaks to the enforcer itself.

It has to be root of some user namespace. What is mounted answers nobody, and ends with the actor.
"""

import os
import tempfile
import threading

from fdstorefs.enforcer.options import SOCKET
from fdstorefs.host import syscalls
from fdstorefs.host.recursion import FILESYSTEM
from fdstorefs.server.guarding.finding import find
from fdstorefs.server.guarding.line import Line, Refusal
from tests.kernel.actor import Obedient

DONE = "done"
_PATIENCE = 60.0

_lines: list[Line] = []
_descriptors: dict[str, int] = {}


def mount_nothing() -> str:
    """Mount something, and say where."""
    mount = tempfile.mkdtemp()
    _descriptors["fuse"] = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={_descriptors['fuse']},rootmode=40000,user_id=0,group_id=0"
    syscalls.mount("fdstorefs", mount, FILESYSTEM, 0, options)
    _descriptors[mount] = os.open(mount, os.O_PATH | os.O_DIRECTORY)
    return mount


def register(mount: str) -> str:
    """Have the mount guarded; DONE, or what the enforcer answers."""
    parameters = {"mount": mount, "mountDescriptor": 0, "previous": None}
    return _outcome("Register", parameters, _descriptors[mount])


def protect(*pidfd: int) -> str:
    """Have a process guarded as a keeper; DONE, or what the enforcer answers."""
    return _outcome("Protect", {"process": 0}, *pidfd)


def protected(server: Obedient, pid: int) -> str:
    """For a test: what a server is answered that wants a process guarded as its keeper."""
    pidfd = os.pidfd_open(pid)
    try:
        outcome: str = server.call(protect, descriptors=(pidfd,))
    finally:
        os.close(pidfd)
    return outcome


def forget_lines() -> None:
    """For a child: speak to the enforcer anew. Its parent's connections are not its own."""
    for line in _lines:
        line.close()
    _lines.clear()


def begin_a_thread() -> int:
    """Have a second thread, and give its number."""
    begun = threading.Thread(target=threading.Event().wait, daemon=True)
    begun.start()
    assert begun.native_id is not None
    return begun.native_id


def _outcome(method: str, parameters: dict[str, object], *descriptors: int) -> str:
    if not _lines:
        _lines.append(find(SOCKET))
    try:
        _lines[0].call(method, parameters, list(descriptors), patience=_PATIENCE)
    except Refusal as error:
        return error.identifier
    return DONE
