"""The activity of one Guard: a few files at a time, while others get their turn."""

from typing import Any

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.errors import NotEnforcing
from fdstorefs.enforcer.guarding import Outcome
from fdstorefs.enforcer.host import Host
from fdstorefs.enforcer.parameters import Given
from fdstorefs.enforcer.replies import failure
from fdstorefs.errors import StoreError
from fdstorefs.host.file_kind import classify
from fdstorefs.policy.request import Unsettled
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import CONSUMED, Call
from fdstorefs.server.varlink.reply import success

AT_ONCE = 8
EVERY_CAPABILITY = (1 << 63) - 1
"""Stands for those of an opener that cannot be told: nobody has them all."""


class GuardCall:
    """Guards the files of one call, in order. It owns their descriptors."""

    def __init__(self, host: Host, caller: Caller, given: list[Given], call: Call) -> None:
        self._host = host
        self._caller = caller
        self._todo = [(call.descriptors[file.descriptor], file) for file in reversed(given)]
        self._told: list[dict[str, Any]] = []
        for file in given:
            host.descriptors.adopt(call.descriptors[file.descriptor])
            call.descriptors[file.descriptor] = CONSUMED

    def start(self, exchange: Exchange) -> None:
        """Guard the first ones."""
        self._exchange = exchange
        self._go_on()

    def drained(self) -> None:
        """Nothing was said yet."""

    def stop(self) -> None:
        """Let go of what was not looked at."""
        for fd, _ in self._todo:
            self._host.descriptors.discard(fd, may_block=True, sender=self._caller.uid)
        self._todo.clear()

    def _go_on(self) -> None:
        try:
            for _ in range(min(AT_ONCE, len(self._todo))):
                self._guard(*self._todo.pop())
        except StoreError as error:
            self._exchange.finish(failure(error))
        except KernelError as error:
            self._exchange.finish(failure(NotEnforcing(error.message, hint=error.hint)))
        else:
            if self._todo:
                self._exchange.soon(self._go_on)
            else:
                self._exchange.finish(success({"files": self._told}))

    def _guard(self, fd: int, file: Given) -> None:
        may_block = True
        try:
            facts = classify(fd)
            may_block = facts.may_block_on_close
            instance = self._host.registry.of_server(self._caller)
            self._told.append(_record(self._host.guarding.guard(instance, fd, facts, file.names)))
        finally:
            self._host.descriptors.discard(fd, may_block=may_block, sender=self._caller.uid)


def _record(outcome: Outcome) -> dict[str, Any]:
    opener = outcome.opener
    capabilities = opener.capabilities
    return {
        "guarded": outcome.guarded,
        "why": outcome.why,
        "opener": {
            "uid": None if isinstance(opener.uid, Unsettled) else opener.uid,
            "gid": outcome.opener_gid,
            "capabilities": EVERY_CAPABILITY if isinstance(capabilities, Unsettled) else capabilities,
            "userns": [] if isinstance(opener.userns, Unsettled) else list(opener.userns),
        },
    }
