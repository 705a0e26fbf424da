"""Choosing, when an instance starts, whether the kernel is to enforce its policy: from then on that does not change."""

import logging
from time import monotonic, sleep
from typing import NamedTuple

from fdstorefs.audit.record import DAEMON, KERNEL
from fdstorefs.server.guarding.finding import EnforcementError, Gone, NobodyThere, find
from fdstorefs.server.guarding.line import Line
from fdstorefs.server.options import ServeOptions

AUTO = "auto"

WAIT_SECONDS, AGAIN_SECONDS = 5.0, 0.1
"""How long an enforcer that is gone is waited for, and how often it is looked for."""

log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """A line to the enforcer if the kernel is to enforce, None if it is not, and `why` it is so."""

    line: Line | None
    why: str

    @property
    def enforcement(self) -> str:
        """Who enforces from now on."""
        return DAEMON if self.line is None else KERNEL


def choose(options: ServeOptions, *, again: bool = False) -> Choice:
    """What the options come to on this host, now; the kernel if it is to enforce `again`, as for the server before
    this one. Raises EnforcementError.

    `auto` does without an enforcer only where there is none. One that listens and does not do its work is an error, and
    so is one that is gone and does not come back: who has it run relies on it. Blocks while it is waited for.
    """
    if options.enforcement == DAEMON:
        return Choice(None, "as it was told (`--enforcement daemon`)")
    try:
        line = _found(options.enforcer_socket)
    except Gone as error:
        raise EnforcementError(
            f"{error}, and has not come back; what it had the kernel enforce is in force",
            "see `systemctl status fdstorefs-enforcer`, or end it with `fdstorefs enforce --off`; "
            "`--enforcement daemon` serves without it",
        ) from error
    except NobodyThere as error:
        if again or options.enforcement == KERNEL:
            raise EnforcementError(
                f"the kernel is to enforce the policy, and {error}",
                "start it (`fdstorefs enforce`), see `fdstorefs doctor`, or serve with `--enforcement daemon`",
            ) from error
        return Choice(None, str(error))
    if options.enforcement == KERNEL:
        return Choice(line, "as it was told (`--enforcement kernel`)")
    if again:
        return Choice(line, "as for the server before this one")
    return Choice(line, f"the enforcer listens at {options.enforcer_socket}")


def _found(path: str) -> Line:
    try:
        return find(path)
    except Gone as error:
        log.warning("%s; it is waited for", error)
    until = monotonic() + WAIT_SECONDS
    while True:
        sleep(AGAIN_SECONDS)
        try:
            return find(path)
        except NobodyThere:
            # A new one puts its socket in the place of the old, and there is none for a moment.
            if monotonic() > until:
                raise
