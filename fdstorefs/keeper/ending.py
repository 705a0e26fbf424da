"""How a server has ended, or why it has not although it does nothing any more."""

import os
import signal

FAILED = 70
"""The exit code where there is no other."""

_HAS_MEMORY = b"\nVmSize:"


def status_of(pid: int) -> int | None:
    """How a child ended: an exit code, or the negative number of a signal. None if nobody tells us, or not yet."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def is_dying(pid: int) -> bool:
    """Whether it will do nothing any more, but is not dead: the close of one of its files may take for ever.

    It has let go of its memory by then. (The flags in /proc/PID/stat say so, too, but to read that is to look into it,
    and where the kernel guards it, each time is on record.)
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            return _HAS_MEMORY not in status.read()
    except OSError:
        return False


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
