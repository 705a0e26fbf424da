"""Standing: how kernel enforcement stands for this instance, and what log and audit log are told when that changes."""

import logging
from enum import Enum, auto

from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.server.guarding.enforcer import Registered

log = logging.getLogger(__name__)


class State(Enum):
    """STARTING: not registered yet. CUT_OFF: the kernel enforces, and the enforcer cannot be told of anything new.
    LOST: the kernel enforces nothing.
    """

    STARTING = auto()
    GUARDING = auto()
    CUT_OFF = auto()
    LOST = auto()


_REASONS = {
    State.STARTING: "the instance is being registered: until then nothing is stashed or delivered",
    State.GUARDING: "policy and mode bits, checked by the server for every request; "
    "the policy again by the kernel, wherever a stored file goes",
    State.CUT_OFF: "the kernel enforces the policy on what is stored, but the enforcer is away ({why}): "
    "until it is back nothing is stashed and no entry gets another name",
    State.LOST: "lost ({why}): until the kernel enforces the policy again nothing is stashed or delivered",
}


class Standing:
    """The state, why it is so, and the latest registration."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._why = ""
        self.state = State.STARTING
        self.registered: Registered | None = None

    @property
    def reason(self) -> str:
        """For people."""
        return _REASONS[self.state].format(why=self._why)

    def guarding(self, registered: Registered) -> None:
        """The instance is registered, and the kernel enforces."""
        if self.state in (State.STARTING, State.LOST):
            self._attached(registered)
        if self.state is not State.STARTING:
            log.warning("enforcement: the enforcer is back")
        self.registered, self.state, self._why = registered, State.GUARDING, ""

    def cut_off(self, why: str) -> None:
        """The enforcer is away."""
        if self.state is State.GUARDING:
            log.warning("enforcement: the enforcer is away: %s", why)
            self.state, self._why = State.CUT_OFF, why

    def still_away(self, why: str) -> None:
        """It was looked for, and there is something wrong with it."""
        if why != self._why and self.state is not State.GUARDING:
            log.warning("enforcement: %s", why)
            self._why = why

    def lost(self, why: str) -> None:
        """The kernel does not know this instance any more."""
        if self.state in (State.STARTING, State.LOST):
            return
        log.error("enforcement: lost, so nothing is delivered any more: %s", why)
        self._audit.event(Event.DETACH, hooks=self._hooks, cause=why)
        self.state, self._why = State.LOST, why

    def found(self) -> None:
        """The kernel enforces again, and the enforcer has not been heard of yet."""
        if self.state is State.LOST and self.registered is not None:
            self._attached(self.registered)
            self.state, self._why = State.CUT_OFF, "it does not answer yet"

    @property
    def _hooks(self) -> tuple[str, ...]:
        return self.registered.hooks if self.registered is not None else ()

    def _attached(self, registered: Registered) -> None:
        log.info(
            "enforcement: by the kernel (instance %d, generation %d%s): %s",
            registered.instance,
            registered.generation,
            ", lockdown" if registered.lockdown else "",
            ", ".join(registered.policies),
        )
        self._audit.event(Event.ATTACH, hooks=registered.hooks, generation=registered.generation)
