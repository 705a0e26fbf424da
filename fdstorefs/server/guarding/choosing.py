"""Choosing, when an instance starts, whether the kernel is to enforce its policy: from then on that does not change."""

from typing import NamedTuple

from fdstorefs.server.guarding.finding import EnforcementError, NobodyThere, find
from fdstorefs.server.guarding.line import Line
from fdstorefs.server.options import ServeOptions

AUTO, KERNEL, DAEMON = "auto", "kernel", "daemon"


class Choice(NamedTuple):
    """A line to the enforcer if the kernel is to enforce; else `why` it is not."""

    line: Line | None
    why: str = ""


def choose(options: ServeOptions) -> Choice:
    """What the options come to on this host, now. Raises EnforcementError.

    `auto` does without an enforcer only where none listens. One that listens and does not do its work is an error: who
    has it run relies on it.
    """
    if options.enforcement == DAEMON:
        return Choice(None, "as it was told (`--enforcement daemon`)")
    try:
        return Choice(find(options.enforcer_socket))
    except NobodyThere as error:
        if options.enforcement == KERNEL:
            raise EnforcementError(
                f"the kernel is to enforce the policy, and {error}",
                "start it (`fdstorefs enforce`), see `fdstorefs doctor`, or serve with `--enforcement daemon`",
            ) from error
        return Choice(None, str(error))
