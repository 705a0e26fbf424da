"""A user who floods the mount with large writes that wait is refused what is too much; all others go on."""

import fcntl
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.server.fuse import requests
from tests.mount.cast import ORDINARY_USER, Cast, Process
from tests.mount.instance import Instance
from tests.mount.test_mounting import needs_root
from tests.mount.waiting import wait_for

Start = Callable[..., Instance]
EVERYTHING = "examples/policies/everything.yaml"
PIPES, OF_EACH, LENGTH = 4, 50, 1 << 17
WRITERS = PIPES * OF_EACH
SHARE = requests.MOST_BYTES.per_uid // LENGTH

WRITE, OPENAT = "1 ", "257 "
"""System calls as /proc has them."""

FLOOD = """
import errno, json, os, sys, threading
from collections import Counter
mount, count, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
handles = [os.open(f"{mount}/w{number}", os.O_WRONLY) for number in range(count)]
outcomes, start, threads = Counter(), threading.Barrier(count + 1), []
def write(handle):
    start.wait()
    try:
        os.write(handle, bytes(length))
        outcomes["written"] += 1
    except OSError as error:
        outcomes[errno.errorcode[error.errno]] += 1
for handle in handles:
    threads.append(threading.Thread(target=write, args=[handle]))
    threads[-1].start()
print("ready", flush=True)
sys.stdin.readline()
start.wait()
for thread in threads:
    thread.join()
print(json.dumps(outcomes), flush=True)
"""

LOOK = """
import os, sys
sys.stdin.readline()
handle = os.open(sys.argv[1], os.O_RDONLY)
print(os.fstat(handle).st_mode & 0o777 == 0o666, os.read(handle, 99).decode(), flush=True)
"""


@pytest.fixture
def instance(running_instance: Start, cast: Cast) -> Instance:
    """One that is everybody's."""
    os.chmod(cast.home(None), 0o755)
    return running_instance(arguments=["--policy", EVERYTHING])


@contextmanager
def full_pipes(instance: Instance) -> Iterator[None]:
    """Entries with the ends of full pipes, until nobody could read from these any more."""
    with ExitStack() as stack, fdstorefs.connect(instance.mount) as store:
        for pipe in range(PIPES):
            reader, writer = os.pipe()
            stack.callback(os.close, reader)
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
            os.write(writer, bytes(4096))
            for number in range(OF_EACH):
                store.stash(f"w{pipe * OF_EACH + number}", writer, mode=0o666)
            os.close(writer)
        yield


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """What a process would do waits meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def begin(process: Process) -> None:
    """Let a program go on with what it is for."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def line_of(process: Process) -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def threads_in(pid: int, call: str) -> int:
    """How many threads of a process are in this system call."""
    return sum(path.read_text().startswith(call) for path in Path(f"/proc/{pid}/task").glob("*/syscall"))


@needs_root
def test_others_are_served_while_one_users_writes_wait(instance: Instance) -> None:
    """What he has more than his share of is refused at once, and so nobody's open, stat or read is behind it."""
    program = [sys.executable, "-c"]
    with fdstorefs.connect(instance.mount) as store:
        file = os.memfd_create("small")
        os.write(file, b"answered")
        os.lseek(file, 0, os.SEEK_SET)
        store.stash("small", file, mode=0o666)
        os.close(file)
    with full_pipes(instance):
        flood = instance.popen(
            [*program, FLOOD, instance.mount, str(WRITERS), str(LENGTH)], user=ORDINARY_USER, stdin=-1
        )
        other = instance.popen([*program, LOOK, f"{instance.mount}/small"], stdin=-1)
        assert "ready" == line_of(flood)
        with stopped(instance.pid):
            begin(flood)
            wait_for(lambda: threads_in(flood.pid, WRITE) == WRITERS, 30, "all to write")
            begin(other)
            wait_for(lambda: threads_in(other.pid, OPENAT), 30, "the other one to open")
        answer = line_of(other)
    outcomes = Counter(json.loads(line_of(flood)))

    assert "True answered" == answer
    assert outcomes["written"] == 0
    assert 0 < outcomes["EAGAIN"] <= WRITERS - SHARE + 1
    assert WRITERS == outcomes["EAGAIN"] + outcomes["EPIPE"] + outcomes["EINTR"]
