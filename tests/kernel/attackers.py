"""Who attacks, and what: an instance whose stored files only processes of one control group may have."""

from dataclasses import dataclass
from enum import Enum

import pytest

from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.kernel_log import KernelLog, Record

NAME, SECRET = "secret", "what only the service may have"


class Attacker(Enum):
    """All have the owner's uid, and none is in the control group that is allowed."""

    SAME_UID = "same uid"
    ROOT_IN_NAMESPACE = "root in its own user namespace"
    COMPROMISED_SERVER = "compromised server"


EVERYBODY = tuple(Attacker)

by_each = pytest.mark.parametrize("kind", EVERYBODY, ids=[each.value for each in EVERYBODY])
"""Run a test that has a `scene` once for each attacker."""


@dataclass(frozen=True)
class Scene:
    """An instance that keeps a file called NAME; `service` stashed it, holds it and may have it, `attacker` may not."""

    server: GuardedInstance
    service: Actor
    attacker: Actor
    log: KernelLog

    @property
    def mount(self) -> str:
        """Where the instance is."""
        return self.server.mount

    def denial(self, **wanted: object) -> Record:
        """The kernel's record of what it refused to the attacker."""
        return self.log.denial(self.attacker.pid, **wanted)

    def require_refused(self, **more: object) -> None:
        """There is a record of a retrieval that the kernel refused, and it says by what rule, of what and to whom."""
        found = self.denial(action="retrieve", **more)

        assert ("no-rule", self.mount, NAME, self.attacker.role.uid) == (
            found["reason"],
            found["instance"],
            found["entry"]["name"],
            found["subject"]["uid"],
        )

    def require_service_gets_it(self) -> None:
        """Under the very same policy whoever is allowed to has it."""
        assert SECRET == self.service.call(attempts.retrieve, self.mount, NAME)
