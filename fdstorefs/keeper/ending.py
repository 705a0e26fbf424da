"""How a server has ended, or why it has not although it does nothing any more."""

import os

FAILED = 70
"""The exit code where there is no other."""

_PF_EXITING = 0x4  # of the flags in /proc/PID/stat


def status_of(pid: int) -> int | None:
    """How a child ended: an exit code, or the negative number of a signal. None if nobody tells us, or not yet."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def is_dying(pid: int) -> bool:
    """Whether it will do nothing any more, but is not dead: the close of one of its files may take for ever."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return bool(int(fields[6]) & _PF_EXITING)


def exit_code(status: int | None, told: int | None) -> int:
    """What a shell would say of it; what it has told itself if nobody else does."""
    if status is None:
        return FAILED if told is None else told
    return status if status >= 0 else 128 - status


def how(status: int | None) -> str:
    """In words."""
    if status is None:
        return "has ended"
    return f"ended with exit code {status}" if status >= 0 else f"was ended by signal {-status}"
