"""Who attacks, and what: an instance whose stored files only processes of one control group may have."""

import time
from dataclasses import dataclass
from enum import Enum

import pytest

from tests.kernel import attempts, reaching
from tests.kernel.actor import Actor, Obedient
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.kernel_log import KernelLog, Record
from tests.kernel.people import ALICE

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
    attacker: Obedient
    log: KernelLog

    @property
    def mount(self) -> str:
        """Where the instance is."""
        return self.server.mount

    def denial(self, after: int = 0, **wanted: object) -> Record:
        """The kernel's record of what it refused to the attacker; see KernelLog."""
        return self.log.denial(self.attacker.pid, after, **wanted)

    @property
    def holder(self) -> Obedient:
        """Who has what is stored, and would give it to the attacker: a compromised server, or an allowed retriever."""
        return self.server.inside if self.server.compromised else self.service

    def require_refused(self, name: str = NAME) -> None:
        """The kernel has a record of a retrieval by the attacker: of what, to whom, and why it was refused."""
        found = self.denial(action="retrieve")

        assert ("no-rule", self.mount, name, ALICE.uid) == (
            found["reason"],
            found["instance"],
            found["entry"]["name"],
            found["subject"]["uid"],
        )

    def require_service_gets_it(self) -> None:
        """Under the very same policy whoever is allowed to has it."""
        assert SECRET == self.service.call(attempts.retrieve, self.mount, NAME)


@dataclass(frozen=True)
class Siege(Scene):
    """With a `keeper` that is guarded as the server is, and an `ordinary` process that is not."""

    keeper: Obedient
    ordinary: Actor

    def besieged(self, way: reaching.Way) -> dict[str, list[int]]:
        """What the attacker meets when it reaches into server and keeper; of each the kernel has a record."""
        targets = {"server": self.server.pid, "keeper": self.keeper.pid}
        found = {}
        for name, pid in targets.items():
            begun = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            found[name] = self.attacker.call(way, pid)
            self._require_kept_out(pid, begun)
        return found

    def _require_kept_out(self, pid: int, begun: int) -> None:
        found = self.denial(after=begun, action="reach-into", target=pid)

        assert ("protected", self.mount, ALICE.uid) == (
            found["reason"],
            found["instance"],
            found["subject"]["uid"],
        )
