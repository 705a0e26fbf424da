"""What an instance can be told when it starts."""

from dataclasses import dataclass, field

from fdstorefs.audit.options import AuditOptions
from fdstorefs.interface.enforcer import SOCKET


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve one instance.

    `ready_fd`: a descriptor to write `ready` to once the instance serves. `mode` is the root box's.
    `entries` and `entries_per_uid` are limits; None leaves only the descriptor limit and what policies say.
    `policies` are absolute paths of policy files and of directories of them; without any, the default is in force.
    `enforcement`: `kernel` serves only while the kernel enforces the policy, too, `daemon` without it, and `auto` as
    `kernel` if an enforcer answers at `enforcer_socket` when it starts, else as `daemon`.
    """

    mount: str
    ready_fd: int | None = None
    mode: int = 0o1777
    entries: int | None = None
    entries_per_uid: int | None = None
    policies: tuple[str, ...] = ()
    enforcement: str = "auto"
    enforcer_socket: str = SOCKET
    audit: AuditOptions = field(default_factory=AuditOptions)
