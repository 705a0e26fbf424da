"""What an instance can be told when it starts."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fdstorefs.audit.options import AuditOptions, Fsync
from fdstorefs.audit.target import Target
from fdstorefs.interface.enforcer import SOCKET


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """The unit of systemd's that the instance runs in: its $NOTIFY_SOCKET, how many of our descriptors systemd keeps
    for it at `most` (0: none), and for how many bytes of names, a byte more for each, there is `room`.
    """

    address: str
    most: int
    room: int


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve one instance.

    `ready_fd`: a descriptor to write `ready` to once the instance serves. `mode` is the root box's.
    `entries`, `entries_per_uid` and `entries_per_box` are limits; None leaves only the descriptor limit and what
    policies say.
    `policies` are absolute paths of policy files and of directories of them; without any, the default is in force.
    `enforcement`: `kernel` serves only while the kernel enforces the policy, too, `daemon` without it, and `auto` as
    `kernel` if an enforcer answers at `enforcer_socket` when it starts, else as `daemon`. `keeper`: whether one is
    started. The instance ends when the process behind the pidfd `ends_with` does. `unit`: systemd's, that it is the
    service of. `systemd_store` is what was said of its store: `auto`, `no`, or how many it takes; None: it is none.
    """

    mount: str
    ready_fd: int | None = None
    mode: int = 0o1777
    entries: int | None = None
    entries_per_uid: int | None = None
    entries_per_box: int | None = None
    policies: tuple[str, ...] = ()
    enforcement: str = "auto"
    enforcer_socket: str = SOCKET
    audit: AuditOptions = field(default_factory=AuditOptions)
    keeper: bool = True
    ends_with: int | None = None
    systemd_store: str | None = None
    unit: UnitOptions | None = None


def to_json(options: ServeOptions) -> dict[str, Any]:
    """Options as another process gets them: without descriptors."""
    return asdict(options) | {"ready_fd": None, "ends_with": None}


def from_json(told: dict[str, Any]) -> ServeOptions:
    """What `to_json` has made."""
    targets = tuple(Target(**target) for target in told["audit"]["targets"])
    audit = AuditOptions(targets, Fsync(**told["audit"]["fsync"]))
    unit = UnitOptions(**told["unit"]) if told.get("unit") is not None else None
    return ServeOptions(**{**told, "policies": tuple(told["policies"]), "audit": audit, "unit": unit})
