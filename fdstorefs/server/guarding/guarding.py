"""Guarding: the parts of kernel enforcement put together for one instance, and the search for a lost enforcer."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable

from fdstorefs.audit.log import AuditLog
from fdstorefs.core.node import OpenFile
from fdstorefs.core.subject import Userns
from fdstorefs.errors import NotGuarded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.guarding.asking import NOBODY, Ask
from fdstorefs.server.guarding.enforcer import FILES_AT_ONCE, Enforcer, Registered
from fdstorefs.server.guarding.finding import EnforcementError, NobodyThere, find
from fdstorefs.server.guarding.kernel_guard import KernelGuard
from fdstorefs.server.guarding.line import Line, LineLost, Refusal
from fdstorefs.server.guarding.releases import Releases
from fdstorefs.server.guarding.standing import Standing
from fdstorefs.server.loop import Loop, Timer

log = logging.getLogger(__name__)

FIRST_SECONDS, AGAIN_SECONDS = 0.1, 1.0
"""When an enforcer that is away is looked for first, and how often then."""

Introduced = tuple[Enforcer, Registered]


class Guarding:
    """Keeps one instance registered. `socket` is where the enforcer listens, `line` one that leads to it already.

    `mount` and `device` are the instance's, `userns` its user namespace. `files` gives all that it stores. `keeper` is
    the pid of the process that is to have a copy of each, `previous` the number of the instance that a server before
    this one had registered.
    """

    def __init__(
        self,
        socket: str,
        line: Line,
        *,
        mount: str,
        device: int,
        userns: Userns,
        loop: Loop,
        descriptors: Descriptors,
        audit: AuditLog,
        ask: Ask,
        files: Callable[[], Iterable[OpenFile]],
        keeper: Callable[[], int] | None = None,
        previous: int | None = None,
    ) -> None:
        self._socket = socket
        self._first: Line | None = line
        self._mount = mount
        self._device = device
        self._userns = userns
        self._loop = loop
        self._ask = ask
        self._files = files
        self._keeper = keeper
        self._protected: int | None = None
        self._previous = previous
        self._probe = os.eventfd(0, os.EFD_CLOEXEC)
        self._line: Line | None = None
        self._enforcer: Enforcer | None = None
        self._timer: Timer | None = None
        self._todo: deque[OpenFile] = deque()
        self._closed = False
        self._is_given = False
        self._releases = Releases(loop, descriptors, self._probe)
        self.standing = Standing(audit)
        self.guard = KernelGuard(self.standing, self._releases, ask, self._probe, self._on_away)

    def introduce(self) -> Introduced:
        """Find the enforcer and register. Blocks: for a thread, one at a time. Raises EnforcementError, NobodyThere."""
        line, self._first = self._first or find(self._socket), None
        try:
            enforcer = Enforcer(line, self._userns)
            known = self.standing.registered
            registered = enforcer.register(
                self._mount, self._device, known.instance if known is not None else self._previous
            )
            self._protect_keeper(enforcer)
            if self._ask(self._probe) == NOBODY:
                raise EnforcementError(
                    f"what listens at {self._socket} has registered this instance, and the kernel knows nothing of it",
                    "see `fdstorefs doctor`; `--enforcement daemon` serves without it",
                )
        except BaseException:
            line.close()
            raise
        return enforcer, registered

    def _protect_keeper(self, enforcer: Enforcer) -> None:
        """Before anything is guarded that it is to have. Raises Refusal, LineLost."""
        if self._keeper is not None:
            self._protected = self._keeper()
            _protect(enforcer, self._protected)

    def may_keep(self, pid: int) -> bool:
        """Have the enforcer accept another process as the keeper, before it gets anything. Whether it does.

        While the enforcer is away nobody can tell; to the kernel a child of this process is what we are.
        """
        if self._enforcer is None:
            return False
        try:
            _protect(self._enforcer, pid)
        except (Refusal, LineLost, OSError) as error:
            log.warning("enforcement: process %d is not accepted as the keeper: %s", pid, error)
            return False
        return True

    def begin(self, introduced: Introduced) -> None:
        """Guard from now on, with this enforcer; what is stored already it is told of anew."""
        enforcer, registered = introduced
        if self._closed:
            enforcer.line.close()
            return
        self._line, self._enforcer = enforcer.line, enforcer
        self._loop.register(self._line.fileno(), self._on_line)
        self.standing.guarding(registered)
        if self._keeper is not None and self._keeper() != self._protected:
            self.may_keep(self._keeper())  # it came while we were being registered
        self.guard.connected(enforcer)
        self._todo = deque(self._files())
        if self._todo:
            self._loop.when_idle(self._tell_some)

    def give_to(self, pid: int) -> None:
        """Another process is to be the instance's server to the enforcer, and to the kernel. Raises NotGuarded."""
        if self._enforcer is None:
            raise NotGuarded("the enforcer is away, and cannot be told of another server", hint="try again")
        try:
            pidfd = os.pidfd_open(pid)
            try:
                self._enforcer.succeed(pidfd)
            finally:
                os.close(pidfd)
        except (Refusal, LineLost, OSError) as error:
            raise NotGuarded(f"the enforcer does not accept the new server: {error}") from error
        self._is_given = True

    def take_back(self) -> None:
        """Nobody else is: register again, if another process was."""
        if self._is_given:
            self._is_given = False
            self.guard.disconnected("another server was to take over, and did not")

    def close(self) -> None:
        """Let the kernel go on as it is, and end."""
        if self._closed:
            return
        self._closed = True
        self._drop_line()
        self._todo.clear()
        self._releases.give_up()
        if self._timer is not None:
            self._timer.cancel()
        if self._first is not None:
            self._first.close()
        os.close(self._probe)

    def _on_line(self, _events: int) -> None:
        if self._line is None:
            return
        try:
            self._line.attend()
        except LineLost as error:
            self.guard.disconnected(str(error))

    def _on_away(self) -> None:
        self._drop_line()
        self._todo.clear()
        self._look_again(FIRST_SECONDS)

    def _drop_line(self) -> None:
        line, self._line, self._enforcer = self._line, None, None
        if line is not None:
            self._loop.unregister(line.fileno())
            line.close()

    def _look_again(self, seconds: float) -> None:
        self._timer = self._loop.call_at(time.monotonic() + seconds, self._look)

    def _look(self) -> None:
        if not self._closed:
            self._loop.in_thread(self.introduce, self._looked)

    def _looked(self, found: Introduced | Exception) -> None:
        if not isinstance(found, Exception):
            self.begin(found)
            return
        if self._closed:
            return
        if not isinstance(found, NobodyThere):
            self.standing.still_away(str(found))
        self.guard.check()
        self._look_again(AGAIN_SECONDS)

    def _tell_some(self) -> bool:
        some = [self._todo.popleft() for _ in range(min(len(self._todo), FILES_AT_ONCE))]
        self.guard.guard_again([file for file in some if file.entries])
        return bool(self._todo)


def _protect(enforcer: Enforcer, pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        enforcer.protect(pidfd)
    finally:
        os.close(pidfd)
