"""classify(): each kind of open file, on the real thing."""

import ctypes
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.host import procfs, syscalls
from fdstorefs.host.file_kind import FileFacts, Kind, classify
from tests.unit.host.conftest import Keep
from tests.unit.host.hostile_fuse import hostile_mount

_libc = ctypes.CDLL(None, use_errno=True)
_IN_X86_64_OR_AARCH64 = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
_SIGNALFD4 = (289, 74)[_IN_X86_64_OR_AARCH64]
_TIMERFD_CREATE = (283, 85)[_IN_X86_64_OR_AARCH64]
_INOTIFY_INIT1 = (294, 26)[_IN_X86_64_OR_AARCH64]
_FANOTIFY_INIT = (300, 262)[_IN_X86_64_OR_AARCH64]
_USERFAULTFD = (323, 282)[_IN_X86_64_OR_AARCH64]
_BPF = (321, 280)[_IN_X86_64_OR_AARCH64]
_PERF_EVENT_OPEN = (298, 241)[_IN_X86_64_OR_AARCH64]
_IO_URING_SETUP = 425


def _call(number: int, *arguments: object) -> int:
    fd: int = _libc.syscall(number, *arguments)
    if fd < 0:
        pytest.skip(f"this kernel refuses system call {number}: {os.strerror(ctypes.get_errno())}")
    return fd


def _pipe_end(index: int) -> int:
    ends = os.pipe()
    os.close(ends[1 - index])
    return ends[index]


def _terminal() -> int:
    controller, terminal = os.openpty()
    os.close(controller)
    return terminal


def _bpf_map() -> int:
    array_of_one = (ctypes.c_uint32 * 18)(2, 4, 4, 1)
    return _call(_BPF, 0, array_of_one, ctypes.c_long(72))


def _perf_event() -> int:
    dummy_software_event = (ctypes.c_uint32 * 30)(1, 120, 9)
    return _call(_PERF_EVENT_OPEN, dummy_software_event, 0, -1, -1, ctypes.c_ulong(0))


def _signalfd() -> int:
    return _call(_SIGNALFD4, -1, ctypes.c_char_p(bytes(8)), ctypes.c_size_t(8), 0)


INTERNAL: dict[str, tuple[Callable[[], int], Kind, str, str, bool]] = {
    "unix socket": (lambda: socket.socket(socket.AF_UNIX).detach(), Kind.SOCKET, "sockfs", "rw", True),
    "tcp socket": (lambda: socket.socket(socket.AF_INET).detach(), Kind.SOCKET, "sockfs", "rw", True),
    "udp socket": (
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).detach(),
        Kind.SOCKET,
        "sockfs",
        "rw",
        True,
    ),
    "netlink socket": (
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).detach(),
        Kind.SOCKET,
        "sockfs",
        "rw",
        True,
    ),
    "pipe, read end": (lambda: _pipe_end(0), Kind.PIPE, "pipefs", "r", True),
    "pipe, write end": (lambda: _pipe_end(1), Kind.PIPE, "pipefs", "w", True),
    "memfd": (lambda: os.memfd_create("m"), Kind.MEMFD, "tmpfs", "rw", False),
    "eventfd": (lambda: os.eventfd(0), Kind.EVENTFD, "anon_inodefs", "rw", True),
    "epoll": (lambda: _libc.epoll_create1(0), Kind.EPOLL, "anon_inodefs", "rw", False),
    "timerfd": (lambda: _call(_TIMERFD_CREATE, 1, 0), Kind.TIMERFD, "anon_inodefs", "rw", True),
    "signalfd": (_signalfd, Kind.SIGNALFD, "anon_inodefs", "rw", True),
    "inotify": (lambda: _call(_INOTIFY_INIT1, 0), Kind.INOTIFY, "anon_inodefs", "r", True),
    "fanotify": (lambda: _call(_FANOTIFY_INIT, 0, 0), Kind.FANOTIFY, "anon_inodefs", "rw", True),
    "userfaultfd": (lambda: _call(_USERFAULTFD, 1), Kind.USERFAULTFD, "anon_inodefs", "r", True),
    "io_uring": (
        lambda: _call(_IO_URING_SETUP, 4, ctypes.create_string_buffer(120)),
        Kind.IO_URING,
        "anon_inodefs",
        "rw",
        True,
    ),
    "bpf map": (_bpf_map, Kind.BPF, "anon_inodefs", "rw", True),
    "perf event": (_perf_event, Kind.PERF_EVENT, "anon_inodefs", "rw", True),
    "network namespace": (
        lambda: procfs.open_namespace("net"),
        Kind.NAMESPACE,
        "nsfs",
        "r",
        False,
    ),
}


@pytest.mark.parametrize("name", INTERNAL)
def test_what_lives_in_the_kernel_only(name: str, keep: Keep) -> None:
    """Sockets, pipes and all that has no path are told apart, with access and whether epoll takes it."""
    make, kind, filesystem, access, pollable = INTERNAL[name]

    facts = classify(keep(make()))

    assert (kind, filesystem, access, pollable) == (
        facts.kind,
        facts.filesystem,
        facts.access,
        facts.pollable,
    )


@pytest.mark.parametrize("name", [name for name, row in INTERNAL.items() if row[4]])
def test_what_is_pollable_epoll_accepts(name: str, keep: Keep) -> None:
    """`pollable` is not a guess: epoll takes each of these."""
    fd = keep(INTERNAL[name][0]())

    with select.epoll() as epoll:
        epoll.register(fd)


def test_a_pidfd(keep: Keep) -> None:
    """A pidfd is one, on pidfs or, with older kernels, among the anonymous inodes."""
    facts = classify(keep(syscalls.pidfd_open(os.getpid())))

    assert facts.kind is Kind.PIDFD
    assert facts.filesystem in ("pidfs", "anon_inodefs")


def test_a_memfd_of_huge_pages(keep: Keep) -> None:
    """A memfd stays one when its memory comes from hugetlbfs."""
    facts = classify(keep(os.memfd_create("m", os.MFD_HUGETLB)))

    assert (Kind.MEMFD, "hugetlbfs") == (facts.kind, facts.filesystem)


def test_files_that_have_a_path(tmp_path: Path, keep: Keep) -> None:
    """Files, directories, links and named pipes, opened in earnest and with O_PATH."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))

    def opened(name: str, flags: int) -> tuple[Kind, str]:
        facts = classify(keep(os.open(tmp_path / name, flags)))
        return facts.kind, facts.access

    assert opened("file", os.O_RDONLY) == (Kind.REGULAR, "r")
    assert opened("file", os.O_WRONLY) == (Kind.REGULAR, "w")
    assert opened("file", os.O_RDWR) == (Kind.REGULAR, "rw")
    assert opened("file", os.O_PATH) == (Kind.REGULAR, "path")
    assert opened(".", os.O_RDONLY) == (Kind.DIRECTORY, "r")
    assert opened(".", os.O_PATH) == (Kind.DIRECTORY, "path")
    assert opened("link", os.O_PATH | os.O_NOFOLLOW) == (Kind.SYMLINK, "path")
    assert opened("fifo", os.O_RDWR) == (Kind.PIPE, "rw")
    assert opened("socket", os.O_PATH) == (Kind.OTHER, "path")


def test_attributes_are_those_of_fstat(tmp_path: Path, keep: Keep) -> None:
    """Device, inode and device number are what fstat says of the same file."""
    for fd in (keep(os.open(tmp_path, os.O_RDONLY)), keep(os.open("/dev/null", os.O_RDWR))):
        facts, truth = classify(fd), os.fstat(fd)

        assert (truth.st_dev, truth.st_ino, truth.st_rdev) == (facts.dev, facts.ino, facts.rdev)


def test_devices_and_terminals(keep: Keep) -> None:
    """/dev/null has nothing to poll, /dev/random has, and a terminal is not asked: its driver may wait for somebody."""
    null, random, terminal = (
        classify(keep(descriptor))
        for descriptor in (
            os.open("/dev/null", os.O_RDWR),
            os.open("/dev/random", os.O_RDONLY),
            _terminal(),
        )
    )

    assert (Kind.DEVICE, False) == (null.kind, null.pollable)
    assert (Kind.DEVICE, True) == (random.kind, random.pollable)
    assert (Kind.DEVICE, False, "devpts") == (terminal.kind, terminal.pollable, terminal.filesystem)


def test_a_socket_that_waits_for_its_lock_is_not_polled(keep: Keep) -> None:
    """A vsock is locked by whoever sends, as long as a page of his takes."""
    vsock = classify(keep(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).detach()))

    assert (Kind.SOCKET, False) == (vsock.kind, vsock.pollable)


def test_filesystems_have_their_mount_tables_names(keep: Keep) -> None:
    """`filesystem` is what the mount table says, here of /proc and /sys."""
    assert classify(keep(os.open("/proc/self/status", os.O_RDONLY))).filesystem == "proc"
    assert classify(keep(os.open("/sys", os.O_RDONLY))).filesystem == "sysfs"


def test_a_name_does_not_make_a_memfd(tmp_path: Path, root: None, keep: Keep) -> None:
    """A file whose path in another mount namespace reads like a memfd's is a regular file all the same."""
    facts, link = _opened_elsewhere(tmp_path, "memfd:x (deleted)", keep)

    assert link.endswith("memfd:x (deleted)")
    assert facts.kind is Kind.REGULAR


def test_a_mount_that_we_do_not_have_has_no_known_filesystem(tmp_path: Path, root: None, keep: Keep) -> None:
    """A file on a mount of another mount namespace: its file system isn't guessed."""
    facts, _ = _opened_elsewhere(tmp_path, "file", keep)

    assert facts.filesystem is None
    assert facts.may_block_on_close


_OPEN_ELSEWHERE = """
import os, socket, sys
from fdstorefs.host import syscalls
syscalls.unshare(syscalls.CLONE_NEWNS)
syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
syscalls.mount("tmpfs", sys.argv[1], "tmpfs")
fd = os.open(f"{sys.argv[1]}/{sys.argv[2]}", os.O_RDWR | os.O_CREAT)
socket.send_fds(socket.socket(fileno=int(sys.argv[3])), [b"x"], [fd])
"""


def _opened_elsewhere(directory: Path, name: str, keep: Keep) -> tuple[FileFacts, str]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = [str(directory), name, str(theirs.fileno())]
        subprocess.run(
            [sys.executable, "-c", _OPEN_ELSEWHERE, *arguments], pass_fds=[theirs.fileno()], check=True
        )
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    fd = keep(fds[0])
    return classify(fd), procfs.fd_link(fd)


def test_a_new_mount_is_noticed(tmp_path: Path, root: None) -> None:
    """The mount table is remembered, but not beyond its next change."""
    before = classify_and_close(os.open(tmp_path, os.O_RDONLY))
    syscalls.mount("tmpfs", tmp_path, "tmpfs")
    try:
        during = classify_and_close(os.open(tmp_path, os.O_RDONLY))
    finally:
        syscalls.umount2(tmp_path)

    assert during.filesystem == "tmpfs"
    assert during.dev != before.dev


def classify_and_close(fd: int) -> FileFacts:
    """classify(), for a descriptor that must not stay."""
    try:
        return classify(fd)
    finally:
        os.close(fd)


CLOSES_AT_ONCE: dict[str, Callable[[], int]] = {
    "memfd": lambda: os.memfd_create("m"),
    "directory": lambda: os.open("/", os.O_RDONLY),
    "path only": lambda: os.open("/dev/null", os.O_PATH),
    "network namespace": lambda: procfs.open_namespace("net"),
}
MAY_BLOCK_ON_CLOSE: dict[str, Callable[[], int]] = {
    "socket": INTERNAL["tcp socket"][0],
    "terminal": _terminal,
    "pipe, for it may be in an epoll set whose lock is taken": lambda: _pipe_end(0),
    "mount namespace, for its last holder unmounts": lambda: procfs.open_namespace("mnt"),
    "file that can be polled": lambda: os.open("/proc/self/mounts", os.O_RDONLY),
}


@pytest.mark.parametrize("name", CLOSES_AT_ONCE)
def test_what_closes_at_once(name: str, keep: Keep) -> None:
    """Nobody else has a part in the end of these."""
    assert not classify(keep(CLOSES_AT_ONCE[name]())).may_block_on_close


@pytest.mark.parametrize("name", MAY_BLOCK_ON_CLOSE)
def test_what_may_block_on_close(name: str, keep: Keep) -> None:
    """Somebody else can hold up the end of these."""
    assert classify(keep(MAY_BLOCK_ON_CLOSE[name]())).may_block_on_close


def test_a_large_memfd_takes_its_time(keep: Keep) -> None:
    """Freeing gigabytes takes so long that another thread should do it."""
    fd = keep(os.memfd_create("m"))
    os.ftruncate(fd, 1 << 30)

    assert classify(fd).may_block_on_close


def test_a_dead_file_server_is_not_asked(hostile_file: Path, keep: Keep) -> None:
    """classify() returns for a file whose FUSE server no longer answers (fstat would hang for ever)."""
    facts = classify(keep(os.open(hostile_file, os.O_RDONLY)))

    assert (Kind.REGULAR, "fuse.hostile") == (facts.kind, facts.filesystem)
    assert facts.may_block_on_close
    assert not facts.pollable


def test_a_file_server_that_refuses_us(fuse_device: None, public_directory: Path, keep: Keep) -> None:
    """A FUSE mount that only its owner may look at still gives away device, file system and inode number."""
    private = public_directory / "private"
    with hostile_mount(private, first_inode=4096, options="user_id=1,group_id=1", answers_flush=True) as path:
        fd = keep(_open_as(1, path))
        facts = classify(fd)
        with pytest.raises(PermissionError):
            os.fstat(fd)

    assert ("fuse.hostile", 4098, True) == (facts.filesystem, facts.ino, facts.may_block_on_close)


_OPEN_AS = """
import os, socket, sys
os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
socket.send_fds(socket.socket(fileno=int(sys.argv[3])), [b"x"], [os.open(sys.argv[2], os.O_RDONLY)])
"""


def _open_as(uid: int, path: Path) -> int:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = [str(uid), str(path), str(theirs.fileno())]
        subprocess.run([sys.executable, "-c", _OPEN_AS, *arguments], pass_fds=[theirs.fileno()], check=True)
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    return fds[0]


def test_no_such_descriptor() -> None:
    """A closed descriptor is an error, not a guess."""
    fd = os.eventfd(0)
    os.close(fd)

    with pytest.raises(OSError, match="bad file descriptor"):
        classify(fd)


def test_the_examples_leave_nothing_open() -> None:
    """Learning the kernel's own devices closes what it opened."""
    classify_and_close(os.eventfd(0))
    before = procfs.open_descriptors()
    for _ in range(10):
        classify_and_close(os.memfd_create("m"))

    assert procfs.open_descriptors() == before
