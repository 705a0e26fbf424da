"""The system calls that Python has not: right answers, and errors that say what failed."""

import errno
import os
import socket
import threading

import pytest

from fdstorefs.host import syscalls
from tests.unit.host.conftest import Keep


def test_a_pidfd_gives_its_process_descriptors(keep: Keep) -> None:
    """pidfd_getfd copies a descriptor: the same open file under a new number."""
    pidfd, fd = keep(syscalls.pidfd_open(os.getpid())), keep(os.eventfd(5))
    copy = keep(syscalls.pidfd_getfd(pidfd, fd))

    assert syscalls.same_file_order(fd, copy) == syscalls.SAME_FILE


@pytest.mark.parametrize(("fd", "code"), [(999_999, errno.EBADF), (-1, errno.EBADF)])
def test_errors_carry_number_and_message(fd: int, code: int, keep: Keep) -> None:
    """The errno picks the exception, the message says what was tried."""
    pidfd = keep(syscalls.pidfd_open(os.getpid()))
    with pytest.raises(OSError, match=f"cannot copy descriptor {fd} from another process") as caught:
        syscalls.pidfd_getfd(pidfd, fd)

    assert caught.value.errno == code


def test_no_such_process() -> None:
    """A pid that nobody has is a ProcessLookupError."""
    with pytest.raises(ProcessLookupError, match="open a pidfd for `4194305`"):
        syscalls.pidfd_open(4_194_305)


def test_open_files_have_an_order(keep: Keep) -> None:
    """Of two different files one is before the other, both ways round."""
    a, b = keep(os.eventfd(0)), keep(os.eventfd(0))
    orders = {syscalls.same_file_order(a, b), syscalls.same_file_order(b, a)}

    assert orders in (
        {syscalls.ORDERED_BEFORE, syscalls.ORDERED_AFTER},
        {syscalls.DIFFERENT_WITHOUT_ORDER},
    )


def test_threads_share_a_table_and_processes_do_not() -> None:
    """Two threads of ours see the same descriptors, and after unshare they don't."""
    tids: list[int] = []
    ready, done = threading.Event(), threading.Event()

    def own_table() -> None:
        syscalls.unshare(0x400)  # CLONE_FILES
        tids.append(threading.get_native_id())
        ready.set()
        done.wait()

    main = threading.get_native_id()
    assert syscalls.same_descriptor_table(main, main)
    thread = threading.Thread(target=own_table)
    thread.start()
    ready.wait()
    try:
        assert not syscalls.same_descriptor_table(main, tids[0])
    finally:
        done.set()
        thread.join()


def test_cached_attributes_are_those_of_fstat(keep: Keep) -> None:
    """For a local file, all that is cached is true."""
    fd = keep(os.open("/dev/null", os.O_RDONLY))
    cached, truth = syscalls.statx_cached(fd), os.fstat(fd)

    for name in ("dev", "ino", "mode", "rdev", "size", "uid", "gid", "nlink"):
        assert getattr(cached, name) == getattr(truth, f"st_{name}"), name


def test_socket_options_of_every_size() -> None:
    """Four bytes, and eight."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        so_cookie = 57

        assert syscalls.socket_option(unix.fileno(), socket.SO_TYPE) == socket.SOCK_DGRAM
        assert syscalls.socket_option(unix.fileno(), so_cookie) > 0


def test_a_mount_that_fails_says_where() -> None:
    """The error names the mount point."""
    with pytest.raises(OSError, match="cannot mount `/nowhere/at all`"):
        syscalls.mount("tmpfs", "/nowhere/at all", "tmpfs")
    with pytest.raises(OSError, match="cannot unmount `/nowhere`"):
        syscalls.umount2("/nowhere", syscalls.UMOUNT_NOFOLLOW)
