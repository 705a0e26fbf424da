"""The service that starts instances for containers, as those see it who ask for one."""

import errno
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import BY_IDENTIFIER, Denied, ProtocolError, StoreError
from fdstorefs.interface.host import NAME as INTERFACE

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
_PATIENCE_SECONDS = 60.0
_SUN_PATH = 107


class NoService(StoreError, ConnectionError):
    """Nobody listens there (ENOTCONN)."""

    code = errno.ENOTCONN
    identifier = "NoService"
    exit_code = 5


class NotStarted(StoreError):
    """The instance does not come up (EIO)."""

    code = errno.EIO
    identifier = "NotStarted"


class Started(NamedTuple):
    """An instance that serves. `name` is the service's for it; the processes are numbered as the service sees them.

    `first` is the one that it ends with.
    """

    name: str
    mount: str
    keeper: int
    server: int | None
    first: int
    uid: int


class ServiceStatus(NamedTuple):
    """What the service is. `started` in nanoseconds since the epoch."""

    version: str
    pid: int
    uid: int
    started: int
    instances: int


def start(
    pidfd: int | None,
    mount: str | None,
    path: str,
    entries: int | None = None,
    entries_per_uid: int | None = None,
    root: int | None = None,
) -> Started:
    """Have an instance serve at `mount` in the container of a process; None: our own, the usual place.

    One that serves there already is it. `root` is open, and will be the root of a container in the making. Raises
    StoreError.
    """
    told = {"mount": mount, "entries": entries, "entriesPerUid": entries_per_uid}
    reply = call(path, "Start", *_with_descriptors(told, process=pidfd, root=root))
    return _started(reply["instance"])


def stop(pidfd: int | None, mount: str | None, path: str) -> None:
    """End the instance that is mounted there, with all that it holds. Raises StoreError."""
    call(path, "Stop", *_with_descriptors({"mount": mount}, process=pidfd))


def instances(path: str) -> tuple[Started, ...]:
    """Those that the caller may end. Raises StoreError."""
    return tuple(map(_started, call(path, "List", {})["instances"]))


def status(path: str) -> ServiceStatus:
    """What the service is. Raises StoreError."""
    reply = call(path, "Status", {})
    return ServiceStatus(*[reply[field] for field in ServiceStatus._fields])


def call(
    path: str,
    method: str,
    parameters: dict[str, Any],
    descriptors: Sequence[int] = (),
    patience: float = _PATIENCE_SECONDS,
) -> Parameters:
    """One call on a connection of its own. Raises StoreError."""
    told = {key: value for key, value in parameters.items() if value is not None}
    message = json.dumps({"method": f"{INTERFACE}.{method}", "parameters": told}).encode() + b"\0"
    channel = Channel(_connect(path, patience))
    try:
        channel.send_all(message, descriptors)
        reply, *_ = channel.receive()
    except Disconnected:
        raise NoService(
            f"the service at `{path}` ended the connection without an answer", hint="its log may say why"
        ) from None
    except TimeoutError:
        raise ProtocolError(f"the service at `{path}` has not answered for {patience:g} seconds") from None
    finally:
        channel.close()
    return _parameters(reply)


def _with_descriptors(
    parameters: dict[str, Any], **descriptors: int | None
) -> tuple[dict[str, Any], list[int]]:
    """Parameters that name descriptors by index, and these."""
    given = {key: descriptor for key, descriptor in descriptors.items() if descriptor is not None}
    return {**parameters, **{key: index for index, key in enumerate(given)}}, list(given.values())


def _connect(path: str, patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(patience)
        connection.connect(os.fsencode(path))
    except OSError as error:
        connection.close()
        raise _explained(error, path) from None
    return connection


def _explained(error: OSError, path: str) -> StoreError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Denied(f"the service at `{path}` is closed to you")
    if len(os.fsencode(path)) > _SUN_PATH:
        return NoService(f"`{path}` is too long for the name of a socket")
    reason = "" if error.errno in _ABSENT else f": {error.strerror or error}"
    return NoService(
        f"no service for containers listens at `{path}`{reason}",
        hint="start it with `systemctl start fdstorefs-host`, or `systemctl --user start fdstorefs-host`",
    )


def _parameters(message: bytes) -> Parameters:
    try:
        reply = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the service sent what is no message: {error}") from None
    parameters = reply.get("parameters", {}) if isinstance(reply, dict) else None
    if not isinstance(parameters, dict):
        raise ProtocolError("the service sent a message that is no reply")
    if "error" in reply:
        raise _error(str(reply["error"]), parameters)
    return parameters


def _error(error: str, parameters: Parameters) -> StoreError:
    interface, _, identifier = error.rpartition(".")
    kinds = {**BY_IDENTIFIER, NotStarted.identifier: NotStarted}
    kind: type[StoreError] = kinds.get(identifier, StoreError) if interface == INTERFACE else StoreError
    message = _text(parameters.get("message")) or f"the service answered `{error}`"
    return kind(message, hint=_text(parameters.get("hint")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _started(record: Parameters) -> Started:
    try:
        return Started(*[record[field] for field in Started._fields])
    except (KeyError, TypeError) as error:
        raise ProtocolError(
            f"the service sent an answer that makes no sense: {error!r}",
            hint="it may be another version: `fdstorefs --version`, and restart it",
        ) from None
