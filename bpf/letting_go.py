"""Waiting for the kernel to detach what was unpinned: it does so in its own time, and tells nobody when."""

import os
import time
from collections.abc import Iterable

from fdstorefs.bpf import syscall
from fdstorefs.bpf.kernel_error import KernelError

SECONDS = 10.0
_STEP = 0.005


def wait_until_gone(programs: Iterable[int], seconds: float = SECONDS) -> None:
    """Come back when none of these programs is there any more, by number: it goes after the link that held it.

    KernelError `detach` if one stays.
    """
    end = time.monotonic() + seconds
    for number in programs:
        while _is_there(number):
            if time.monotonic() > end:
                raise _stays(number)
            time.sleep(_STEP)


def _is_there(number: int) -> bool:
    try:
        os.close(syscall.program_by_number(number))
    except FileNotFoundError:
        return False
    return True


def _stays(number: int) -> KernelError:
    hint = f"see who has it open: `bpftool prog show id {number}`"
    what, why = "a program that was unpinned is still in force", "somebody else holds it or its link"
    return KernelError("detach", what, where=f"program {number}", why=why, hint=hint)
