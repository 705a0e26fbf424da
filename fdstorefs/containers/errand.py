"""An errand: something done in a container's mount namespace by a process that does nothing else there.

It is a fork of the server, in the host's pid namespace, and ends when it has done it. While it is there it makes system
calls and nothing else: no module is imported, no name looked up, no program executed, for the files are the
container's. Whatever it meets on a path in there (a file system that never answers, too) costs it some seconds at
most, and nobody else anything.
"""

import array
import json
import os
import signal
import socket
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, NoReturn

from fdstorefs.containers.container import Container
from fdstorefs.containers.letting_go import keep_only
from fdstorefs.host import mount_table, procfs, syscalls
from fdstorefs.host.mount_table import Mount
from fdstorefs.host.readable import becomes_readable
from fdstorefs.server.mounting import MountError

SECONDS = 10.0
"""How long it may take."""

_stuck: list[int] = []
"""Pidfds of those that took too long and were killed: who waits for a file system that is silent can't even die."""

_MOST_BYTES = 65536
_MOST_DESCRIPTORS = 8
_SPACE = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)


class Brought(NamedTuple):
    """What it comes back with."""

    told: dict[str, Any]
    descriptors: tuple[int, ...] = ()


class Inside:
    """The container's mount namespace, from within."""

    def __init__(self, container: Container) -> None:
        # The host's /proc, through which we know ourselves.
        self._own = procfs.open_own_directory()
        self.root = container.root
        syscalls.setns(container.mounts, syscalls.CLONE_NEWNS)
        self._require_root()
        # A mount table tells what can be reached from the root of whoever has opened it: so from the container's, also
        # of one in the making, whose first process has not changed its own yet.
        os.fchdir(self.root)
        os.chroot(".")

    def open_table(self) -> int:
        """A descriptor of the mount table."""
        return os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._own)

    def mounts(self) -> mount_table.MountTable:
        """The mount table as it is now."""
        table = self.open_table()
        try:
            return mount_table.parse(procfs.read_all(table))
        finally:
            os.close(table)

    def mounted_at(self, directory: int) -> Mount | None:
        """The mount whose root is open here; None if it is a directory like others."""
        found = self.mounts().by_id(syscalls.statx_cached(directory).mnt_id)
        return found if found is not None and found.mount_point == self._link(directory) else None

    def path_of(self, directory: int) -> str:
        """The path of an open directory, as the container has it."""
        return self._link(directory)

    def unmount(self, directory: int, flags: int) -> None:
        """Unmount the mount that is open here. Raises OSError."""
        # By the host's /proc: a path in here could have been made to lead elsewhere meanwhile.
        os.fchdir(self._own)
        syscalls.umount2(f"fd/{directory}", flags)

    def _require_root(self) -> None:
        if self.mounts().by_id(syscalls.statx_cached(self.root).mnt_id) is None:
            raise MountError("what is to be the container's root directory is not in its mount namespace")

    def _link(self, directory: int) -> str:
        return os.readlink(f"fd/{directory}", dir_fd=self._own)


def send(container: Container, work: Callable[[Inside], Brought], needs: Collection[int] = ()) -> Brought:
    """Have `work` done in there by a process that has none of our descriptors but those that it `needs`.

    Raises MountError, with the words of whatever has kept it from coming back.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _go(container, work, its.fileno(), needs)
    its.close()
    with ours:
        if not becomes_readable(ours.fileno(), SECONDS):
            try:
                _stuck.append(os.pidfd_open(pid))
            finally:
                os.kill(pid, signal.SIGKILL)
            raise MountError(
                f"the container's file systems have not answered within {SECONDS:g} seconds",
                "what is mounted on the way to the mount point?",
            )
        message, beside, _, _ = ours.recvmsg(_MOST_BYTES, _SPACE, socket.MSG_CMSG_CLOEXEC)
    os.waitpid(pid, 0)
    return _understood(message, beside)


def is_stuck() -> bool:
    """Whether one has not ended though it was killed."""
    return not all(becomes_readable(pidfd, 0) for pidfd in _stuck)


def wait_for_all() -> None:
    """Do nothing until all have ended, whatever signal comes: while this process is there, so many are known of."""
    if not is_stuck():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for pidfd in _stuck:
        becomes_readable(pidfd, None)


def _understood(message: bytes, beside: list[tuple[int, int, bytes]]) -> Brought:
    descriptors = array.array("i")
    for _, _, data in beside:
        descriptors.frombytes(data)
    told = json.loads(message) if message else {"wrong": "it has ended without a word", "hint": ""}
    if "wrong" in told:
        raise MountError(told["wrong"], told["hint"])
    return Brought(told, tuple(descriptors))


def _go(
    container: Container, work: Callable[[Inside], Brought], line: int, needs: Collection[int]
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        keep_only({line, *container.descriptors, *needs})
        brought = _done(container, work)
        rights = array.array("i", brought.descriptors)
        with socket.socket(fileno=line) as its:
            its.sendmsg([json.dumps(brought.told).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    finally:
        # Nothing may get past the fork, nor run our parent's last wishes.
        os._exit(0)


def _done(container: Container, work: Callable[[Inside], Brought]) -> Brought:
    try:
        return work(Inside(container))
    except MountError as error:
        return Brought({"wrong": error.message, "hint": error.hint})
    except OSError as error:
        return Brought({"wrong": f"in the container: {error.strerror or error}", "hint": ""})
