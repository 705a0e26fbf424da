"""Whether all hooks are in place still: whoever may write to the bpf file system can unpin one, and nobody is told."""

import logging
import time
from collections.abc import Callable

from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.policy_keeper import Change
from fdstorefs.server.loop import Loop, Timer

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 60.0

log = logging.getLogger(__name__)


class HooksWatch:
    """Looks once a second from now on. Where a hook is missing all are put in place anew, by a `change`.

    `lost` is called first: what is left guards nothing that the missing one let through.
    """

    def __init__(
        self,
        loop: Loop,
        kernel: KernelSide,
        audit: AuditLog,
        lost: Callable[[], None],
        change: Callable[[Change], None],
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._audit = audit
        self._lost = lost
        self._change = change
        self._hooks = kernel.attached
        self._timer = self._look_in(LOOK_SECONDS)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look_in(self, seconds: float) -> Timer:
        return self._loop.call_at(time.monotonic() + seconds, self._look)

    def _look(self) -> None:
        there = self._kernel.attached
        if there:
            self._hooks = there
            self._timer = self._look_in(LOOK_SECONDS)
            return
        if self._hooks:
            self._tell()
        self._change(Change(anew=True, done=self._done))

    def _tell(self) -> None:
        log.error(
            "a hook has been unpinned, and the kernel guards nothing reliably until all are in place anew"
        )
        self._audit.event(Event.DETACH, hooks=self._hooks, cause="a pinned hook is gone")
        self._hooks = ()
        self._lost()

    def _done(self, error: Exception | None) -> None:
        self._timer = self._look_in(LOOK_SECONDS if error is None else AGAIN_SECONDS)
