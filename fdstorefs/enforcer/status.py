"""The reply of Status: what is in force, as far as whoever asks may know it."""

import os
import time
from typing import Any

from fdstorefs import __version__
from fdstorefs.audit.log import AuditLog
from fdstorefs.bpf import abi
from fdstorefs.enforcer.book import Book
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.policy_keeper import PolicyKeeper
from fdstorefs.enforcer.registry import Registry

ROOT = 0


class Status:
    """Tells how the enforcer stands."""

    def __init__(
        self,
        kernel: KernelSide,
        enforcement: Enforcement,
        registry: Registry,
        book: Book,
        policies: PolicyKeeper,
        audit: AuditLog,
        pins: str,
    ) -> None:
        self._kernel = kernel
        self._enforcement = enforcement
        self._registry = registry
        self._book = book
        self._policies = policies
        self._audit = audit
        self._pins = pins
        self._started = time.time_ns()

    def told_to(self, uid: int) -> dict[str, Any]:
        """All of it to root; to others what is in force, and their own instances."""
        generation = self._enforcement.generation
        mark = generation.everything.mark
        told = {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._started,
            "abi": abi.ABI,
            "generation": generation.number,
            "loaded": generation.loaded,
            "hash": mark.hash,
            "lockdown": self._kernel.lockdown,
            "hooks": list(self._kernel.attached),
            "warnings": len(generation.policy_set.warnings),
            "policies": self._policy_list(uid),
            "instances": [self._instance(each) for each in self._registry if uid in (ROOT, each.uid)],
            "lost": self._kernel.lost(),
            "pins": self._pins,
        }
        if uid != ROOT:
            return told | {"files": [], "rejected": None, "audit": None}
        return told | {
            "files": list(self._policies.files),
            "rejected": self._policies.rejected,
            "audit": [
                {key: target[key] for key in ("target", "written", "lost")}
                for target in self._audit.status()["targets"]
            ],
        }

    def _policy_list(self, uid: int) -> list[dict[str, Any]]:
        everything = self._enforcement.generation.everything
        return [
            {
                "name": policy.name,
                "mode": str(policy.mode),
                "rules": len(policy.rules),
                "file": self._enforcement.generation.policy_set.file_of(policy.name) if uid == ROOT else "",
                "switched": policy.name in self._policies.switches,
            }
            for policy in everything.policies
        ]

    def _instance(self, instance: Instance) -> dict[str, Any]:
        in_force = self._enforcement.in_force(instance.number)
        return {
            "number": instance.number,
            "mount": instance.mount,
            "pid": instance.pid,
            "uid": instance.uid,
            "policies": [] if in_force is None else list(in_force.mark.names),
            "guarded": self._book.count(instance.number),
            "connected": instance.connected,
            "ended": instance.has_ended,
        }
