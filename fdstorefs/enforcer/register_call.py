"""The activity of one Register: what takes a while for one caller is done in threads, while others get their turn."""

import os
from collections.abc import Callable
from typing import TypeVar

from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.host import Host
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.process import Process
from fdstorefs.enforcer.registration import Candidate
from fdstorefs.enforcer.turns import Turn
from fdstorefs.host.mount_table import MountTable
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.reply import Reply

T = TypeVar("T")
Looked = tuple[Process, MountTable]


class RegisterCall:
    """Registers a caller that serves `path`. It owns `root`, a descriptor of the mount.

    `reply` makes the reply of the instance, `failed` that of what went wrong. Once the instance is being admitted that
    goes on, even if the caller goes.
    """

    def __init__(
        self,
        host: Host,
        caller: Caller,
        path: str,
        root: int,
        reply: Callable[[Instance], Reply],
        failed: Callable[[Exception], Reply],
    ) -> None:
        self._host = host
        self._caller = caller
        self._path = path
        self._root: int | None = root
        self._reply = reply
        self._failed = failed
        self._pidfd: int | None = None
        self._exchange: Exchange | None = None
        self._turn: Turn | None = None

    def start(self, exchange: Exchange) -> None:
        """Have the caller looked at."""
        self._exchange = exchange
        self._carry_on(self._look)

    def drained(self) -> None:
        """Nothing was said yet."""

    def stop(self) -> None:
        """Nobody is there to be told any more, or everything was said."""
        self._exchange = None
        if self._turn is None or self._host.registration.turns.give_up(self._turn):
            self._let_go()

    # One step after the other

    def _look(self) -> None:
        pidfd = self._pidfd = self._caller.hold()
        self._in_turn(lambda: self._caller.look(pidfd), self._looked)

    def _looked(self, found: Looked) -> None:
        checked = self._check(found)
        if isinstance(checked, Instance):
            self._registered(checked)
        else:
            self._understand(found, checked)

    def _check(self, found: Looked) -> Instance | Candidate:
        assert self._root is not None
        assert self._pidfd is not None
        return self._host.registration.check(self._path, self._root, *found, self._pidfd)

    def _understand(self, found: Looked, candidate: Candidate) -> None:
        """What the policies mean in the caller's ids, which may be the first of their kind."""
        self._in_turn(
            lambda: self._host.registration.policies_for(candidate),
            lambda in_force: self._understood(found, in_force),
        )

    def _understood(self, found: Looked, in_force: InForce) -> None:
        # It can have registered on another connection meanwhile, and other policies can be in force.
        checked = self._check(found)
        if isinstance(checked, Instance):
            self._registered(checked)
        elif in_force.mark.generation != self._host.enforcement.generation.number:
            self._understand(found, checked)
        else:
            self._admit(checked, in_force)

    def _admit(self, candidate: Candidate, in_force: InForce) -> None:
        self._host.registration.require_serve(self._caller, candidate, in_force)
        self._pidfd = None
        self._host.registration.admit(candidate, self._admitted)

    def _admitted(self, result: Instance | Exception) -> None:
        if self._exchange is None:
            return
        if isinstance(result, Instance):
            self._carry_on(lambda: self._registered(result))
        else:
            self._exchange.finish(self._failed(result))

    def _registered(self, instance: Instance) -> None:
        assert self._exchange is not None
        self._exchange.finish(self._reply(instance))

    # How

    def _in_turn(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        self._turn = self._host.registration.turns.take(
            self._caller.uid, work, lambda result: self._after_turn(result, then)
        )

    def _after_turn(self, result: T | Exception, then: Callable[[T], None]) -> None:
        self._turn = None
        if self._exchange is None:
            self._let_go()
        elif isinstance(result, Exception):
            self._exchange.finish(self._failed(result))
        else:
            self._carry_on(lambda: then(result))

    def _carry_on(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  whatever it is, it is told to who asked
            if self._exchange is not None:
                self._exchange.finish(self._failed(error))

    def _let_go(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        if self._root is not None:
            self._host.descriptors.discard(self._root, may_block=True, sender=self._caller.uid)
            self._root = None
