"""procfs: what the kernel says of tasks and id maps."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fdstorefs.host import procfs, syscalls
from tests.unit.host.conftest import Keep


def test_ourselves() -> None:
    """What /proc says of this process is what the system calls say."""
    facts = procfs.read_task(os.getpid())

    assert facts.tgid == os.getpid()
    assert facts.uids[:3] == os.getresuid()
    assert facts.gids[:3] == os.getresgid()
    assert facts.groups == set(os.getgroups())
    assert facts.userns == os.stat("/proc/self/ns/user").st_ino
    assert facts.mntns == os.stat("/proc/self/ns/mnt").st_ino
    assert facts.pidns == os.stat("/proc/self/ns/pid").st_ino
    assert facts.exe == os.path.realpath(sys.executable)


def test_a_thread_is_a_task_of_its_process() -> None:
    """A thread id works as well, and names its process."""
    with _sleeping_thread() as thread:
        facts = procfs.read_task(thread.native_id or 0)

    assert (thread.native_id, os.getpid()) == (facts.tid, facts.tgid)


@contextmanager
def _sleeping_thread() -> Iterator[threading.Thread]:
    """A thread that sleeps in read(2) on a pipe."""
    reader, writer = os.pipe()
    thread = threading.Thread(target=os.read, args=(reader, 77))
    thread.start()
    try:
        yield thread
    finally:
        os.write(writer, b"x")
        thread.join()
        os.close(reader)
        os.close(writer)


def test_a_name_cannot_forge_a_field() -> None:
    """A process whose name reads like the rest of the line, and like a line of its own, still
    has its own start time and name.
    """
    forged = ") S 1\nUid:\t0"
    code = f"import sys; open('/proc/self/comm', 'w').write({forged!r}); print(flush=True); sys.stdin.read()"
    with _child(code) as child:
        facts = procfs.read_task(child.pid)

    assert facts.comm == forged
    assert facts.start_time > procfs.read_task(os.getpid()).start_time


@contextmanager
def _child(code: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that has run the code up to its first line of output."""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def test_an_ended_task_is_gone() -> None:
    """A task that has ended is a ProcessLookupError that says which."""
    child = subprocess.Popen(["true"])
    child.wait()

    for read in (procfs.read_task, procfs.command):
        with pytest.raises(ProcessLookupError, match=f"`{child.pid}` has ended"):
            read(child.pid)


def test_checked_facts_are_of_the_process_behind_the_pidfd(keep: Keep) -> None:
    """With a pidfd of the process or of the thread, the facts are certain."""
    with _sleeping_thread() as thread:
        tid = thread.native_id or 0
        facts = procfs.read_task_checked(tid, keep(syscalls.pidfd_open(os.getpid())))

    assert facts.tid == tid


def test_checked_facts_of_somebody_else_are_refused(keep: Keep) -> None:
    """A number that belongs to another process than the pidfd's is as good as gone."""
    pidfd = keep(syscalls.pidfd_open(os.getpid()))

    with pytest.raises(ProcessLookupError):
        procfs.read_task_checked(1, pidfd)


def test_checked_facts_of_an_ended_process_are_refused(keep: Keep) -> None:
    """Once the process is reaped its number may be anybody's: refused, even while the number still reads."""
    child = subprocess.Popen(["true"])
    pidfd = keep(syscalls.pidfd_open(child.pid))
    child.wait()

    with pytest.raises(ProcessLookupError):
        procfs.read_task_checked(os.getpid(), pidfd)


def test_fdinfo_has_what_the_kernel_says_of_a_descriptor(keep: Keep) -> None:
    """Inode, flags and what is special to the kind; keys that repeat become lists."""
    eventfd = procfs.fdinfo(keep(os.eventfd(10)))
    nothing = procfs.fdinfo(keep(os.open("/", os.O_RDONLY)))

    assert procfs.fdinfo_field(eventfd, "eventfd-count") == "a"
    assert procfs.fdinfo_field(nothing, "ino") == str(os.stat("/").st_ino)
    assert procfs.fdinfo_field(nothing, "eventfd-count") == "0"


def test_fdinfo_collects_keys_that_repeat(keep: Keep) -> None:
    """A key that occurs twice gives both values."""
    with select.epoll() as epoll:
        for _ in range(2):
            epoll.register(keep(os.eventfd(0)))
        watched = procfs.fdinfo(epoll.fileno())["tfd"]

    assert isinstance(watched, list)
    assert len(watched) == 2


def test_our_ids_are_whole_outside_user_namespaces_only() -> None:
    """Where a namespace maps a single id, 65534 may be anybody; where it maps all, it is a user."""
    whole = sum(mapped.count for mapped in procfs.id_map("uid")) == 2**32 - 1
    ask = "from fdstorefs.host import procfs; print(procfs.identity_is_whole())"
    inside = subprocess.run(["unshare", "-Ur", sys.executable, "-c", ask], capture_output=True, check=False)
    if inside.returncode and b"unshare" in inside.stderr:
        pytest.skip("needs user namespaces: sysctl user.max_user_namespaces")

    assert procfs.identity_is_whole() is whole
    assert inside.stdout == b"False\n"


def test_open_descriptors_are_counted() -> None:
    """The count follows every open and close."""
    before = procfs.open_descriptors()
    fd = os.eventfd(0)
    during = procfs.open_descriptors()
    os.close(fd)

    assert (before + 1, before) == (during, procfs.open_descriptors())


def test_the_machine() -> None:
    """The overflow ids are what the kernel's files hold."""
    assert procfs.overflow_uid() == int(Path("/proc/sys/kernel/overflowuid").read_text())
    assert procfs.overflow_gid() == int(Path("/proc/sys/kernel/overflowgid").read_text())
