"""User namespaces are told by their numbers, up to our own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from fdstorefs.host import procfs
from fdstorefs.host.task import Task
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from tests.unit.host.conftest import Keep

WAIT = "import sys; print('inside', flush=True); sys.stdin.read()"
TELL = """
import sys
from fdstorefs.host.task import Task
from fdstorefs.host.user_namespaces import HeldNamespace
print(*HeldNamespace(Task(int(sys.argv[1])).open_user_namespace()).numbers)
"""


@contextmanager
def waiting(*prefix: str) -> Iterator[int]:
    """A process that waits, started through a command that makes namespaces; its number."""
    command = [*prefix, sys.executable, "-I", "-c", WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            pytest.skip("needs user namespaces: sysctl user.max_user_namespaces")
        try:
            yield process.pid
        finally:
            process.kill()


def told_from_inside(prefix: Sequence[str], pid: int) -> str:
    """What a process in other namespaces sees as the chain of this one."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", TELL, str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def chain_of(pid: int) -> tuple[int, ...]:
    """The numbers for a process."""
    return HeldNamespace(Task(pid).open_user_namespace()).numbers


def own_number() -> int:
    """Our own, as the kernel's directory says."""
    return os.stat("/proc/self/ns/user").st_ino


def test_above_our_own_nothing_is_seen() -> None:
    """The chain of our own namespace is its number."""
    assert (own_number(),) == HeldNamespace(procfs.open_namespace("user")).numbers


def test_a_child_has_ours_above_it() -> None:
    """Its number first, then ours."""
    with waiting("unshare", "-Ur") as pid:
        number = os.stat(f"/proc/{pid}/ns/user").st_ino

        assert (number, own_number()) == chain_of(pid)


def test_all_between_are_told() -> None:
    """From the innermost out."""
    with waiting("unshare", "-Ur", "unshare", "-Ur") as pid:
        inner, middle, outer = chain_of(pid)

    assert own_number() == outer
    assert 3 == len({inner, middle, outer})


def test_whoever_made_them_is_told() -> None:
    """By the uid that he has in ours, root inside or not."""
    with waiting("unshare", "-Ur", "unshare", "-Ur") as pid:
        owners = HeldNamespace(Task(pid).open_user_namespace()).owners

    assert (os.geteuid(), os.geteuid()) == owners[:2]


def test_a_namespace_beside_ours_cannot_be_looked_into() -> None:
    """A process in a namespace has no right to see that of a process outside."""
    with waiting("unshare", "-Ur") as pid:
        assert "Permission" in told_from_inside(["unshare", "-Ur"], pid)


def test_a_namespace_that_is_not_below_ours_is_told_alone(keep: Keep) -> None:
    """From a descriptor that came from outside: the chain ends with it."""
    outside = keep(procfs.open_namespace("user"))
    code = (
        f"from fdstorefs.host.user_namespaces import HeldNamespace; print(*HeldNamespace({outside}).numbers)"
    )
    done = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        pass_fds=[outside],
    )
    if "unshare" in done.stderr:
        pytest.skip("needs user namespaces: sysctl user.max_user_namespaces")

    assert f"{own_number()}\n" == done.stdout


def test_a_chain_has_one_descriptor() -> None:
    """Each namespace on the way is opened, and closed; the first is held for as long as anybody has its numbers."""
    with waiting("unshare", "-Ur", "unshare", "-Ur") as pid:
        before = procfs.open_descriptors()
        chain = HeldChain(HeldNamespace(Task(pid).open_user_namespace()))
        during = procfs.open_descriptors()
        del chain

        assert (before + 1, before) == (during, procfs.open_descriptors())


def test_what_is_no_namespace_is_refused_and_closed() -> None:
    """A descriptor given is never left open."""
    before = procfs.open_descriptors()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        HeldNamespace(os.eventfd(0))

    assert before == procfs.open_descriptors()
