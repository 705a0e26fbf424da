"""A server that the kernel may guard, and its keeper, keep their user's processes out of their memory from the start.

The kernel refuses to open it once they are known to it, but what is open by then stays open.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.waiting import wait_for

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


def family(instance: Instance) -> set[int]:
    """Keeper, server, and spare."""
    keeper = instance.process.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return {keeper, *map(int, children)}


def test_an_ordinary_users_server(running_instance: Start, reach: Reach) -> None:
    """Nor its keeper and the spare, also where no enforcer listens, for by then it may be too late."""
    instance = running_instance(user=ORDINARY_USER)

    assert 3 == len(family(instance))
    for pid in family(instance):
        assert [errno.EACCES, errno.EACCES, errno.EPERM] == reach(pid)


def test_without_a_keeper(running_instance: Start, reach: Reach) -> None:
    """Likewise."""
    instance = running_instance(user=ORDINARY_USER, arguments=("--no-keeper",))

    assert [errno.EACCES, errno.EACCES, errno.EPERM] == reach(instance.pid)


def test_the_server_that_comes_after_it(running_instance: Start, reach: Reach) -> None:
    """When it was killed."""
    instance = running_instance(user=ORDINARY_USER)
    former = instance.pid
    os.kill(former, signal.SIGKILL)
    server = wait_for(lambda: instance.pid if instance.pid not in (former, instance.process.pid) else None)

    assert [errno.EACCES, errno.EACCES, errno.EPERM] == reach(server)


@pytest.mark.skipif(YAMA.exists() and YAMA.read_text() != "0\n", reason="Yama keeps them out of any process")
def test_one_that_is_to_do_without_the_kernel(running_instance: Start, reach: Reach) -> None:
    """It is as open as any process of that user's, and so is its keeper."""
    instance = running_instance(user=ORDINARY_USER, arguments=("--enforcement", "daemon"))

    for pid in family(instance):
        assert [0, 0, 0] == reach(pid)
