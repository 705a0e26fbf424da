"""Where an enforcer may run: on the host itself, whose processes, cgroups and files it has to see as they are.

It may have mounts of its own, as a service of systemd does. But in another root directory it would read other policies
and another user database, and would listen where nobody looks for it.
"""

import os
from typing import Protocol

from fdstorefs.errors import NotPermitted
from fdstorefs.host.task import Task, namespace_number
from fdstorefs.host.user_database import INITIAL_USER_NAMESPACE

INITIAL_PID_NAMESPACE, INITIAL_CGROUP_NAMESPACE = 0xEFFF_FFFC, 0xEFFF_FFFB
"""The numbers that the kernel gives the first ones, on every host."""

_FIRST_PROCESS = 1
_ROOT = 0
_INITIAL = (
    ("user", INITIAL_USER_NAMESPACE, "in a user namespace of its own: only root of the host may enforce"),
    (
        "pid",
        INITIAL_PID_NAMESPACE,
        "in a pid namespace of its own, where it does not see the host's processes",
    ),
    (
        "cgroup",
        INITIAL_CGROUP_NAMESPACE,
        "in a cgroup namespace of its own, where it does not see all of the host's cgroups",
    ),
)
_HINT = "run it as root of the host, outside of containers"


class Looked(Protocol):
    """A process that is looked at."""

    def namespace(self, kind: str) -> str:
        """A namespace of it, as the kernel writes it."""

    def root(self) -> tuple[int, int]:
        """Device and inode of its root directory."""


def require_host(uid: int | None = None, own: Looked | None = None, first: Looked | None = None) -> None:
    """Raise NotPermitted unless this process, of the effective `uid`, runs as root on the host itself.

    `own` and `first` are this process and the host's first.
    """
    if (os.geteuid() if uid is None else uid) != _ROOT:
        raise NotPermitted("only root of the host may enforce", hint=_HINT)
    try:
        _require_host(own or Task(os.getpid()), first or Task(_FIRST_PROCESS))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotPermitted(
            "the enforcer was started where it does not see the host's processes", hint=_HINT
        ) from error
    except PermissionError as error:
        if isinstance(error, NotPermitted):
            raise
        raise NotPermitted(
            "the enforcer may not look at the host's first process, and so at no server either",
            hint="it needs CAP_SYS_PTRACE",
        ) from error


def _require_host(own: Looked, first: Looked) -> None:
    for kind, initial, where in _INITIAL:
        if namespace_number(own.namespace(kind)) != initial:
            raise NotPermitted(f"the enforcer was started {where}", hint=_HINT)
    if own.root() != first.root():
        raise NotPermitted(
            "the enforcer was started in another root directory (chroot) than the host's", hint=_HINT
        )
