"""A process that does nothing any more is told from one that lives."""

import os
import signal

from fdstorefs.keeper.dying import is_dying


def test_one_that_lives() -> None:
    """Such as this one."""
    assert not is_dying(os.getpid())


def test_one_that_has_let_go_of_everything() -> None:
    """It is there until its parent has asked for it, and then there is nobody to be dying."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    lived = not is_dying(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    died = is_dying(pid)
    os.waitpid(pid, 0)

    assert (True, True, False) == (lived, died, is_dying(pid))
