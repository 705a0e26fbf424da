"""What the enforcer's calls have in common: the parts of one host's enforcer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fdstorefs.audit.log import AuditLog
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.guarding import Guarding
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.policy_keeper import PolicyKeeper
from fdstorefs.enforcer.registration import Registration
from fdstorefs.enforcer.registry import Registry
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop


@dataclass(slots=True)
class Host:
    """One host's enforcer. `status` makes the reply of Status for whoever asks: his uid."""

    loop: Loop
    kernel: KernelSide
    descriptors: Descriptors
    enforcement: Enforcement
    registry: Registry
    registration: Registration
    guarding: Guarding
    policies: PolicyKeeper
    audit: AuditLog
    status: Callable[[int], dict[str, Any]]
