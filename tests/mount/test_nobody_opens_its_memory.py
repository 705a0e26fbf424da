"""A server that the kernel may guard keeps its own user's processes out of its memory from its start.

The kernel refuses to open it once the server is registered, but what is open by then stays open.
"""

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance

Start = Callable[..., Instance]
Reach = Callable[[int], list[int]]

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
REACH = """
import ctypes, os, sys
pid = int(sys.argv[1])
def outcome(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        return error.errno
    return 0
def take():
    pidfd = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(438, pidfd, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")
print(outcome(os.open, f"/proc/{pid}/mem", os.O_RDWR), outcome(os.listdir, f"/proc/{pid}/fd"), outcome(take))
"""
"""What comes of opening a process's memory, listing its descriptors, and taking one: 0, or an errno."""


@pytest.fixture
def reach(cast: Cast) -> Reach:
    """Try it on a process, as its own user."""

    def act(pid: int) -> list[int]:
        argv = cast.command([sys.executable, "-c", REACH, str(pid)], ORDINARY_USER)
        told, said = cast.start(argv).communicate(timeout=30)
        assert not said
        return list(map(int, told.split()))

    return act


def test_an_ordinary_users_server(running_instance: Start, reach: Reach) -> None:
    """Also where no enforcer listens, for by then it may be too late."""
    instance = running_instance(user=ORDINARY_USER)

    assert [errno.EACCES, errno.EACCES, errno.EPERM] == reach(instance.pid)


@pytest.mark.skipif(YAMA.exists() and YAMA.read_text() != "0\n", reason="Yama keeps them out of any process")
def test_one_that_is_to_do_without_the_kernel(running_instance: Start, reach: Reach) -> None:
    """It is as open as any process of that user's."""
    instance = running_instance(user=ORDINARY_USER, arguments=("--enforcement", "daemon"))

    assert [0, 0, 0] == reach(instance.pid)
