"""What the enforcer can be told when it starts."""

from dataclasses import dataclass, field

from fdstorefs.audit.options import AuditOptions
from fdstorefs.interface.enforcer import SOCKET

POLICIES = "/etc/fdstorefs/policies"
PINS = "/sys/fs/bpf/fdstorefs"

__all__ = ["PINS", "POLICIES", "SOCKET", "EnforceOptions"]


@dataclass(frozen=True, slots=True)
class EnforceOptions:
    """How to enforce on this host.

    `policies` are absolute paths of policy files and of directories of them; without any they are read from POLICIES,
    and while that is missing or empty at the start, the built-in default is in force. `pins` is a directory on bpffs.
    `lockdown`: not even root may look into servers. `ready_fd`: a descriptor to write `ready` to once it enforces.
    """

    policies: tuple[str, ...] = ()
    socket: str = SOCKET
    pins: str = PINS
    audit: AuditOptions = field(default_factory=AuditOptions)
    lockdown: bool = False
    ready_fd: int | None = None
