"""Who an actor is, how it becomes that, and how it does what it is told."""

import ctypes
import importlib
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fdstorefs.host import syscalls
from fdstorefs.server.namespaces import enter_new_user_namespace
from tests.kernel.messages import Message, receive, send

_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Role:
    """A user, the control group it starts in, and whether it is root in user and mount namespaces of its own.

    `joins`: a process of the same user whose user and mount namespaces it enters.
    """

    uid: int = 0
    gid: int | None = None
    groups: tuple[int, ...] = ()
    cgroup: Path | None = None
    namespace: bool = False
    joins: int | None = None

    def as_message(self) -> Message:
        """The same as JSON has it."""
        return {**asdict(self), "cgroup": None if self.cgroup is None else str(self.cgroup)}

    @classmethod
    def from_message(cls, message: Message) -> "Role":
        """The opposite."""
        cgroup, groups = message["cgroup"], tuple(message["groups"])
        return cls(**{**message, "groups": groups, "cgroup": None if cgroup is None else Path(cgroup)})

    def assume(self) -> None:
        """Become that for good; needs root."""
        if self.cgroup is not None:
            (self.cgroup / "cgroup.procs").write_text("0")
        gid = self.uid if self.gid is None else self.gid
        os.setgroups(self.groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(self.uid, self.uid, self.uid)
        be_as_from_a_login()
        if self.namespace:
            enter_new_user_namespace(map_root=True)
        if self.joins is not None:
            _enter_namespaces_of(self.joins)
            be_as_from_a_login()


def be_as_from_a_login() -> None:
    """A process that was another user's is closed to its own user, unlike one that a login has started."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _enter_namespaces_of(pid: int) -> None:
    """Become who its user is in its user namespace, and see its mounts."""
    namespaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", "mnt")]
    for number in namespaces:
        syscalls.setns(number, 0)
        os.close(number)


def acting(role: Role, line: socket.socket) -> None:
    """An actor's life: become what the role says, then do one call after the other until nobody calls."""
    try:
        role.assume()
        os.chdir("/")
        send(line, {"result": os.getpid()})
    except Exception as error:  # noqa: BLE001 - the test is told
        send(line, _failure(error))
    else:
        obey(line)


def obey(line: socket.socket) -> None:
    """Do one call after the other until nobody calls."""
    while True:
        try:
            message, descriptors = receive(line)
        except EOFError:
            return
        send(line, _outcome(message, descriptors))


def _outcome(message: Message, descriptors: list[int]) -> Message:
    try:
        return {"result": _function(message)(*message["arguments"], *descriptors)}
    except Exception as error:  # noqa: BLE001 - the test is told
        return _failure(error)


def _function(message: Message) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(importlib.import_module(message["module"]), message["name"])
    return function


def _failure(error: Exception) -> Message:
    number = error.errno if isinstance(error, OSError) else None
    return {"errno": number, "why": str(error), "trace": "".join(traceback.format_exception(error))}
