"""Status: what an instance is, what is in force in it, and how much there is. The reply of the interface's Status."""

import os
from collections.abc import Callable
from typing import Any

from fdstorefs import __version__
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import DAEMON, KERNEL
from fdstorefs.core.store import Store
from fdstorefs.server.enforcement.keeping import PolicyKeeper
from fdstorefs.server.guarding.guarding import Guarding
from fdstorefs.server.intake import Intake
from fdstorefs.server.kept import Kept
from fdstorefs.server.mounting import Mounted


class Status:
    """Asks the parts of one instance; `guarding` is None where the kernel enforces nothing, and `why` says why.

    `outage` is for how many nanoseconds nobody served before this server, and `connections` says how many there are.
    """

    def __init__(
        self,
        mounted: Mounted,
        store: Store,
        intake: Intake,
        policies: PolicyKeeper,
        audit: AuditLog,
        *,
        guarding: Guarding | None,
        why: str,
        kept: Kept | None,
        started: int,
        connections: Callable[[], int],
    ) -> None:
        self._mounted = mounted
        self._store = store
        self._intake = intake
        self._policies = policies
        self._audit = audit
        self._guarding = guarding
        self._why = why
        self._kept = kept
        self._started = started
        self._connections = connections
        self.outage: int | None = None

    def reply(self) -> dict[str, Any]:
        """All of it, as it is now."""
        policies = self._policies.status()
        return {
            "version": __version__,
            "mount": self._mounted.path,
            "pid": os.getpid(),
            **self._keeper(),
            "outage": self.outage,
            "uid": self._store.root.uid,
            **self._enforcement(),
            "policy": ",".join(policies["names"]),
            "policyStatus": policies,
            "audit": [
                {key: target[key] for key in ("target", "written", "lost")}
                for target in self._audit.status()["targets"]
            ],
            "entries": self._store.usage.total,
            "descriptors": self._intake.files,
            "limit": self._intake.limit,
            "limits": self._limits(),
            "connections": self._connections(),
            "started": self._started,
            "method": self._mounted.method,
            "kernel": os.uname().release,
        }

    def _keeper(self) -> dict[str, Any]:
        if self._kept is None:
            return {"keeper": None, "restarts": None, "systemdStore": None}
        line = self._kept.line
        return {
            "keeper": line.pid,
            "restarts": self._kept.held.restarts,
            "systemdStore": line.unit.status if line.unit is not None else None,
        }

    def _limits(self) -> dict[str, int | None]:
        limits = self._store.usage.limits
        return {
            "entries": limits.entries,
            "entriesPerUid": limits.entries_per_uid,
            "entriesPerBox": limits.entries_per_box,
            "openFiles": self._intake.capacity,
        }

    def _enforcement(self) -> dict[str, Any]:
        if self._guarding is None:
            reason = f"policy and mode bits, checked by the server for every request; {self._why}"
            return {"enforcement": DAEMON, "enforcementReason": reason, "guarded": None, "unguarded": None}
        guard = self._guarding.guard
        guard.check()
        return {
            "enforcement": KERNEL,
            "enforcementReason": self._guarding.standing.reason,
            "guarded": guard.guarded,
            "unguarded": self._intake.files - guard.guarded,
        }
