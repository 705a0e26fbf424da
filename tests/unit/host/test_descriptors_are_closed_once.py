"""Descriptors: what the store owns is closed once, and nobody's stuck close holds up the store."""

import fcntl
import os
import resource
import select
import socket
import threading
import time
from pathlib import Path

import pytest

from fdstorefs.host.descriptors import Descriptors, raise_limit
from tests.unit.host.waiting import wait_until


def _is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _closers() -> int:
    return sum(thread.name == "closer" for thread in threading.enumerate())


def test_an_adopted_descriptor_is_not_inherited() -> None:
    """What the store takes over doesn't leak into programs that it starts."""
    descriptors = Descriptors()
    fd = os.eventfd(0, 0)
    descriptors.adopt(fd)

    assert fcntl.fcntl(fd, fcntl.F_GETFD) == fcntl.FD_CLOEXEC
    assert descriptors.open_count == 1

    descriptors.discard(fd, may_block=False)


def test_a_duplicate_is_the_same_open_file() -> None:
    """A copy shares the offset with the original, and is owned as well."""
    descriptors = Descriptors()
    original = descriptors.adopt(os.memfd_create("m"))
    copy = descriptors.duplicate(original)
    os.write(original, b"abc")

    assert os.lseek(copy, 0, os.SEEK_CUR) == 3
    assert descriptors.open_count == 2

    for fd in (original, copy):
        descriptors.discard(fd, may_block=False)


@pytest.mark.parametrize("may_block", [False, True])
def test_discard_closes(may_block: bool) -> None:
    """After discard, and drain for what may block, the descriptor is closed and counted nowhere."""
    descriptors = Descriptors()
    fd = descriptors.adopt(os.eventfd(0))
    descriptors.discard(fd, may_block)

    assert descriptors.drain(10) == 0
    assert not _is_open(fd)
    assert (0, 0) == (descriptors.open_count, descriptors.pending)


@pytest.mark.parametrize("may_block", [False, True])
def test_nothing_is_closed_twice(may_block: bool) -> None:
    """A second discard is an error and closes nothing, even when the number is in use again."""
    descriptors = Descriptors()
    fd = descriptors.adopt(os.eventfd(0))
    descriptors.discard(fd, may_block)
    descriptors.drain(10)
    reused = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, fd)

    with pytest.raises(ValueError, match="discarded before"):
        descriptors.discard(fd, may_block)
    assert _is_open(reused)

    os.close(reused)


def test_a_descriptor_is_adopted_once() -> None:
    """Adopting a number that the store owns means that somebody else closed it: an error."""
    descriptors = Descriptors()
    fd = descriptors.adopt(os.eventfd(0))

    with pytest.raises(ValueError, match="owned already"):
        descriptors.adopt(fd)

    descriptors.discard(fd, may_block=False)


def test_a_closed_descriptor_is_not_adopted() -> None:
    """Adopting what isn't open fails, and leaves nothing behind."""
    descriptors = Descriptors()
    fd = os.eventfd(0)
    os.close(fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        descriptors.adopt(fd)
    assert descriptors.open_count == 0


def test_many_quick_closes_need_few_threads() -> None:
    """A thousand closes that end at once are done by a handful of threads."""
    descriptors = Descriptors()
    before = _closers()
    fds = [descriptors.adopt(os.eventfd(0)) for _ in range(1000)]
    for fd in fds:
        descriptors.discard(fd, may_block=True)

    assert descriptors.drain(10) == 0
    assert _closers() - before <= 8
    assert not any(_is_open(fd) for fd in fds)


def test_stuck_closes_do_not_hold_up_others(hostile_file: Path) -> None:
    """Ten files of a dead server are stuck in close; a socket discarded after them is closed all the same."""
    descriptors = Descriptors()
    for _ in range(10):
        descriptors.discard(descriptors.adopt(os.open(hostile_file, os.O_RDONLY)), may_block=True)
    ours, theirs = socket.socketpair()
    descriptors.discard(descriptors.adopt(theirs.detach()), may_block=True)

    with ours:
        ours.settimeout(10)
        assert ours.recv(1) == b""
    wait_until(lambda: descriptors.pending == 10)


def test_stuck_closes_are_counted_and_bounded(hostile_file: Path) -> None:
    """With 70 files stuck in close there are 64 threads and 70 pending; discard never waits."""
    descriptors = Descriptors()
    before = _closers()
    fds = [descriptors.adopt(os.open(hostile_file, os.O_RDONLY)) for _ in range(70)]
    started = time.monotonic()
    for fd in fds:
        descriptors.discard(fd, may_block=True)
    waited = time.monotonic() - started
    wait_until(lambda: _closers() - before == 64)

    assert waited < 5
    assert descriptors.drain(0.05) == 70
    assert _closers() - before == 64


def test_a_pipe_in_an_epoll_set_can_be_stuck_too(hostile_file: Path) -> None:
    """Close waits for the lock of an epoll set that the file is in: its owner can keep that for ever."""
    descriptors = Descriptors()
    reader, writer = os.pipe()
    epoll = select.epoll()
    epoll.register(reader)
    thread = threading.Thread(target=_poll_a_dead_file, args=(epoll, hostile_file), daemon=True)
    thread.start()
    wait_until(lambda: _sleeps_in_epoll_ctl(thread))
    descriptors.discard(descriptors.adopt(reader), may_block=True)

    assert descriptors.drain(0.2) == 1
    os.close(writer)


def _poll_a_dead_file(epoll: select.epoll, path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    epoll.register(fd)
    os.closerange(fd, fd + 1)


def _sleeps_in_epoll_ctl(thread: threading.Thread) -> bool:
    number = {"x86_64": b"233", "aarch64": b"21"}[os.uname().machine]
    return Path(f"/proc/self/task/{thread.native_id}/syscall").read_bytes().split()[0] == number


def test_the_limit_is_raised_to_what_is_allowed() -> None:
    """The soft limit of open files becomes the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))

        assert raise_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_threads_may_discard_at_once() -> None:
    """Sixteen threads adopt, copy and discard at random; nothing is lost and nothing is left."""
    descriptors = Descriptors()
    errors: list[Exception] = []

    def work(may_block: bool) -> None:
        try:
            for _ in range(200):
                fd = descriptors.adopt(os.eventfd(0))
                descriptors.discard(descriptors.duplicate(fd), may_block)
                descriptors.discard(fd, not may_block)
        except (OSError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(bool(number % 2),)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert descriptors.drain(10) == 0
    assert descriptors.open_count == 0


def test_what_one_has_sent_holds_up_nothing_of_others(hostile_file: Path) -> None:
    """He has so many threads that may be stuck, and what is left of his waits for these."""
    anna, berta, before = 1, 2, _closers()
    descriptors = Descriptors(3)
    for _ in range(100):
        fd = descriptors.adopt(os.open(hostile_file, os.O_RDONLY))
        descriptors.discard(fd, may_block=True, sender=anna)
    reader, writer = os.pipe()
    descriptors.discard(descriptors.adopt(writer), may_block=True, sender=berta)

    assert b"" == os.read(reader, 1)
    assert 100 == descriptors.unclosed(anna)
    wait_until(lambda: descriptors.unclosed(berta) == 0)
    assert _closers() - before <= 5
    os.close(reader)
