"""The host's enforcer as its administrators see it: what it enforces, and telling it what to enforce."""

import errno
import os
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from fdstorefs.client.service import ABSENT, Service
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import Denied, StoreError
from fdstorefs.interface.enforcer import NAME as INTERFACE
from fdstorefs.interface.enforcer import SOCKET

_PATIENCE_SECONDS = 10.0
_PATIENCE_FOR_LOADING_SECONDS = 300.0
"""New programs may have to be compiled and verified, which a slow machine takes its time over."""


class NoEnforcer(StoreError, ConnectionError):
    """No enforcer listens there (ENOTCONN). What one has pinned may be in force nevertheless."""

    code = errno.ENOTCONN
    identifier = "NoEnforcer"
    exit_code = 5


class BadPolicy(StoreError):
    """The policies have errors, which `errors` tells one by one; what was in force stays (EINVAL)."""

    code = errno.EINVAL
    identifier = "BadPolicy"
    errors: tuple[str, ...] = ()


class NoSuchPolicy(StoreError):
    """No policy of this name is in force (ENOENT)."""

    code = errno.ENOENT
    identifier = "NoSuchPolicy"


class PolicyState(NamedTuple):
    """A policy in force; `mode` is `enforce` or `monitor`, `file` None where the caller may not know it.

    `switched`: somebody has switched it to this mode, whatever its file says.
    """

    name: str
    mode: str
    rules: int
    file: str | None = None
    switched: bool = False


class InstanceState(NamedTuple):
    """An instance that is guarded. `guarded` counts its open files that are.

    `connected`: its server is there; `ended`: it is not and never will be, what it kept is guarded while it is open.
    """

    number: int
    mount: str
    pid: int
    uid: int
    policies: tuple[str, ...]
    guarded: int
    connected: bool
    ended: bool


class HostStatus(NamedTuple):
    """What is in force on this host. Times are nanoseconds since the epoch.

    `hooks` are those of the kernel that are attached, `lost` counts records of the kernel that found no room.
    `rejected` (`when`, `message`) is there while the files say what is not in force. `files`, `rejected`, `audit`
    and other users' `instances` are told to root only.
    """

    version: str
    pid: int
    started: int
    abi: int
    generation: int
    loaded: int
    hash: str
    lockdown: bool
    hooks: tuple[str, ...]
    policies: tuple[PolicyState, ...]
    instances: tuple[InstanceState, ...]
    files: tuple[str, ...]
    warnings: int
    rejected: Parameters | None
    audit: tuple[Parameters, ...]
    lost: int
    pins: str


class Loaded(NamedTuple):
    """What was put in force."""

    generation: int
    policies: tuple[str, ...]
    warnings: int


class ModeSet(NamedTuple):
    """A policy's mode was set; `former` is what it was before."""

    generation: int
    former: str


def status(path: str = SOCKET) -> HostStatus:
    """What the enforcer at this socket has in force. Raises StoreError."""
    reply = _ENFORCER.call(path, "Status", {}, patience=_PATIENCE_SECONDS)
    return _ENFORCER.understand(_host_status, reply)


def load(files: Sequence[str], path: str = SOCKET) -> Loaded:
    """Have it put these policies in force instead of those it has; absolute paths. Without any, read its own again.

    Raises BadPolicy and other StoreErrors; then what was in force stays.
    """
    parameters = {"files": list(files)}
    reply = _ENFORCER.call(path, "Load", parameters, patience=_PATIENCE_FOR_LOADING_SECONDS)
    return _ENFORCER.understand(_loaded, reply)


def set_mode(policy: str, mode: str, path: str = SOCKET) -> ModeSet:
    """Switch a policy to `enforce` or `monitor`. Raises StoreError."""
    parameters = {"policy": policy, "mode": mode}
    reply = _ENFORCER.call(path, "SetMode", parameters, patience=_PATIENCE_FOR_LOADING_SECONDS)
    return _ENFORCER.understand(_mode_set, reply)


class _Enforcer(Service):
    name = "the enforcer"
    interface = INTERFACE
    kinds: ClassVar = {kind.identifier: kind for kind in (BadPolicy, NoSuchPolicy)}
    absent = NoEnforcer
    hint_if_it_ended = hint_if_it_is_slow = "`journalctl -u fdstorefs-enforcer` may say why"

    def unreachable(self, error: OSError, path: str) -> StoreError:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Denied(f"the enforcer at `{path}` is closed to you: {_reason(error)}")
        reason = "" if error.errno in ABSENT else f": {_reason(error)}"
        return NoEnforcer(
            f"no enforcer listens at `{path}`{reason}",
            hint="start it with `systemctl start fdstorefs-enforcer`; "
            "`fdstorefs doctor` says what is in force without it",
        )

    def error(self, error: str, told: Parameters) -> StoreError:
        found = super().error(error, told)
        if isinstance(found, BadPolicy):
            found.errors = tuple(map(str, told.get("errors") or ()))
        return found


_ENFORCER = _Enforcer()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _host_status(reply: Parameters) -> HostStatus:
    known: dict[str, Any] = reply | {
        "hooks": tuple(reply["hooks"]),
        "policies": tuple(map(_policy, reply["policies"])),
        "instances": tuple(map(_instance, reply.get("instances") or ())),
        "files": tuple(reply.get("files") or ()),
        "rejected": reply.get("rejected"),
        "audit": tuple(reply.get("audit") or ()),
    }
    return HostStatus(*[known[field] for field in HostStatus._fields])


def _policy(record: Parameters) -> PolicyState:
    switched = record.get("switched") is True
    return PolicyState(record["name"], record["mode"], record["rules"], record.get("file"), switched)


def _instance(record: Parameters) -> InstanceState:
    fields = record | {"policies": tuple(record["policies"])}
    return InstanceState(*[fields[field] for field in InstanceState._fields])


def _loaded(reply: Parameters) -> Loaded:
    return Loaded(reply["generation"], tuple(reply["policies"]), reply["warnings"])


def _mode_set(reply: Parameters) -> ModeSet:
    return ModeSet(reply["generation"], reply["former"])
