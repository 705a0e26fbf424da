"""The host's enforcer as its administrators see it: what it enforces, and telling it what to enforce."""

import errno
import json
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import BY_IDENTIFIER, Denied, ProtocolError, StoreError
from fdstorefs.interface.enforcer import NAME as INTERFACE
from fdstorefs.interface.enforcer import SOCKET

Record = TypeVar("Record")

_SUN_PATH = 107
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
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


_KINDS: dict[str, type[StoreError]] = {
    **BY_IDENTIFIER,
    **{kind.identifier: kind for kind in (BadPolicy, NoSuchPolicy)},
}


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
    return _read(_host_status, _call(path, "Status", {}, _PATIENCE_SECONDS))


def load(files: Sequence[str], path: str = SOCKET) -> Loaded:
    """Have it put these policies in force instead of those it has; absolute paths. Without any, read its own again.

    Raises BadPolicy and other StoreErrors; then what was in force stays.
    """
    return _read(_loaded, _call(path, "Load", {"files": list(files)}, _PATIENCE_FOR_LOADING_SECONDS))


def set_mode(policy: str, mode: str, path: str = SOCKET) -> ModeSet:
    """Switch a policy to `enforce` or `monitor`. Raises StoreError."""
    parameters = {"policy": policy, "mode": mode}
    return _read(_mode_set, _call(path, "SetMode", parameters, _PATIENCE_FOR_LOADING_SECONDS))


def _call(path: str, method: str, parameters: Parameters, patience: float) -> Parameters:
    """One call on a connection of its own. Raises StoreError."""
    call = json.dumps({"method": f"{INTERFACE}.{method}", "parameters": parameters}).encode() + b"\0"
    channel = Channel(_connect(path, patience))
    try:
        channel.send_all(call)
        message, *_ = channel.receive()
    except Disconnected:
        hint = "`journalctl -u fdstorefs-enforcer` may say why"
        raise NoEnforcer(
            f"the enforcer at `{path}` ended the connection without an answer", hint=hint
        ) from None
    except TimeoutError:
        raise ProtocolError(
            f"the enforcer at `{path}` has not answered for {patience:g} seconds",
            hint="`journalctl -u fdstorefs-enforcer` may say why",
        ) from None
    finally:
        channel.close()
    return _parameters(message)


def _connect(path: str, patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience)
        connection.connect(_fitting(path))
    except OSError as error:
        connection.close()
        raise _explained(error, path) from None
    return connection


def _fitting(path: str) -> bytes:
    name = os.fsencode(path)
    if len(name) > _SUN_PATH:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return name


def _explained(error: OSError, path: str) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Denied(f"the enforcer at `{path}` is closed to you: {_reason(error)}")
    reason = "" if error.errno in _ABSENT else f": {_reason(error)}"
    return NoEnforcer(
        f"no enforcer listens at `{path}`{reason}",
        hint="start it with `systemctl start fdstorefs-enforcer`; `fdstorefs doctor` says what is in force without it",
    )


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _parameters(message: bytes) -> Parameters:
    """What a reply holds. Raises the error that it is."""
    try:
        reply = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the enforcer sent what is no message: {error}") from None
    parameters = reply.get("parameters", {}) if isinstance(reply, dict) else None
    if not isinstance(parameters, dict):
        raise ProtocolError("the enforcer sent a message that is no reply")
    if "error" in reply:
        raise _error(str(reply["error"]), parameters)
    return parameters


def _error(error: str, parameters: Parameters) -> StoreError:
    interface, _, identifier = error.rpartition(".")
    kind = _KINDS.get(identifier, StoreError) if interface == INTERFACE else StoreError
    message = _text(parameters.get("message")) or f"the enforcer answered `{error}`"
    found = kind(message, name=_text(parameters.get("name")), hint=_text(parameters.get("hint")))
    if isinstance(found, BadPolicy):
        found.errors = tuple(map(str, parameters.get("errors") or ()))
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read(make: Callable[[Parameters], Record], reply: Parameters) -> Record:
    try:
        return make(reply)
    except (AttributeError, KeyError, TypeError) as error:
        raise ProtocolError(
            f"the enforcer sent an answer that makes no sense: {error!r}",
            hint="it may be another version: `fdstorefs --version`, and restart it",
        ) from None


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
