"""The service that starts instances for containers, as those see it who ask for one."""

import errno
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from fdstorefs.client.service import ABSENT, Service
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import Denied, StoreError
from fdstorefs.interface.host import NAME as INTERFACE

_PATIENCE_SECONDS = 60.0


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
    return _SERVICE.call(path, method, told, descriptors, patience=patience)


def _with_descriptors(
    parameters: dict[str, Any], **descriptors: int | None
) -> tuple[dict[str, Any], list[int]]:
    """Parameters that name descriptors by index, and these."""
    given = {key: descriptor for key, descriptor in descriptors.items() if descriptor is not None}
    return {**parameters, **{key: index for index, key in enumerate(given)}}, list(given.values())


class _HostService(Service):
    name = "the service"
    interface = INTERFACE
    kinds: ClassVar = {NotStarted.identifier: NotStarted}
    absent = NoService
    hint_if_it_ended = "its log may say why"

    def unreachable(self, error: OSError, path: str) -> StoreError:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Denied(f"the service at `{path}` is closed to you")
        if error.errno == errno.ENAMETOOLONG:
            return NoService(f"`{path}` is too long for the name of a socket")
        reason = "" if error.errno in ABSENT else f": {error.strerror or error}"
        return NoService(
            f"no service for containers listens at `{path}`{reason}",
            hint="start it with `systemctl start fdstorefs-host`, or `systemctl --user start fdstorefs-host`",
        )


_SERVICE = _HostService()


def _started(record: Parameters) -> Started:
    return _SERVICE.understand(lambda told: Started(*[told[field] for field in Started._fields]), record)
