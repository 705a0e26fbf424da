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

from fdstorefs.server.namespaces import enter_new_user_namespace
from tests.kernel.messages import Message, receive, send

_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Role:
    """A user, the control group it starts in, and whether it is root in user and mount namespaces of its own."""

    uid: int = 0
    gid: int | None = None
    groups: tuple[int, ...] = ()
    cgroup: Path | None = None
    namespace: bool = False

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
        # a process that was another user's is closed to its own user, unlike one that a login has started
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        if self.namespace:
            enter_new_user_namespace(map_root=True)


def acting(role: Role, line: socket.socket) -> None:
    """An actor's life: become what the role says, then do one call after the other until nobody calls."""
    try:
        role.assume()
        os.chdir("/")
        send(line, {"result": os.getpid()})
        while True:
            message, descriptors = receive(line)
            send(line, _outcome(message, descriptors))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - the test is told
        send(line, _failure(error))


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
