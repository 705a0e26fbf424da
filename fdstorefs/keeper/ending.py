"""How a server has ended."""

import os
import signal

FAILED = 70
"""The exit code where there is no other."""


def status_of(pid: int) -> int | None:
    """How a child ended: an exit code, or the negative number of a signal. None if nobody tells us, or not yet."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def exit_code(status: int | None, told: int | None) -> int:
    """What a shell would say of it; what it has told itself if nobody else does, or if it was told to end once more
    when it was about to: one signal may come from the keeper, and another from whoever has told that.
    """
    if status is None:
        return FAILED if told is None else told
    if told is not None and -status in (signal.SIGTERM, signal.SIGINT):
        return told
    return status if status >= 0 else 128 - status


def how(status: int | None) -> str:
    """In words."""
    if status is None:
        return "has ended"
    return f"ended with exit code {status}" if status >= 0 else f"was ended by signal {-status}"
