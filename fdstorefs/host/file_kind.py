"""What an open file is, found out without a question to whoever serves it.

A descriptor comes from anybody. A call that asks its file system (fstat, fstatfs) hangs for ever when that is
a FUSE mount whose server doesn't answer. So: only attributes that the kernel has cached, the descriptor's
flags, and the name under /proc/self/fd.
"""

import errno
import fcntl
import functools
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fdstorefs.host import procfs, syscalls
from fdstorefs.host.live_mounts import LiveMountTable
from fdstorefs.host.syscalls import CachedStat

Access = Literal["r", "w", "rw", "path"]


class Kind(StrEnum):
    """What an open file is."""

    SOCKET = "socket"
    PIPE = "pipe"
    MEMFD = "memfd"
    REGULAR = "regular"
    DIRECTORY = "directory"
    DEVICE = "device"
    EVENTFD = "eventfd"
    PIDFD = "pidfd"
    NAMESPACE = "namespace"
    EPOLL = "epoll"
    TIMERFD = "timerfd"
    SIGNALFD = "signalfd"
    INOTIFY = "inotify"
    FANOTIFY = "fanotify"
    USERFAULTFD = "userfaultfd"
    IO_URING = "io_uring"
    BPF = "bpf"
    PERF_EVENT = "perf_event"
    SECCOMP_NOTIFY = "seccomp_notify"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of an open file without asking its server.

    - `ino`, `rdev`: 0 where there is none.
    - `access`: `path` for a descriptor opened with O_PATH.
    - `filesystem`: a type as in /proc/filesystems, with a FUSE subtype (`fuse.sshfs`); `sockfs`, `pipefs`,
      `anon_inodefs`, `nsfs`, `pidfs` for what is on no mount; None for a file on a mount that our mount
      namespace doesn't have.
    - `may_block_on_close`: closing the last copy may wait for somebody, perhaps for ever.
    - `pollable`: epoll can watch it, and asks nobody who may not answer.
    """

    kind: Kind
    dev: int
    ino: int
    rdev: int
    access: Access
    filesystem: str | None
    may_block_on_close: bool
    pollable: bool


# Served by this kernel alone, from memory or from a disk: nobody in user space has to answer.
_DISK_FILESYSTEMS = frozenset(
    {
        "bcachefs",
        "btrfs",
        "devtmpfs",
        "erofs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "hugetlbfs",
        "iso9660",
        "msdos",
        "ntfs3",
        "ramfs",
        "rootfs",
        "squashfs",
        "tmpfs",
        "udf",
        "vfat",
        "xfs",
        "zfs",
    }
)
# The same, but some of their regular files can be polled.
_KERNEL_FILESYSTEMS = frozenset(
    {
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "efivarfs",
        "fusectl",
        "mqueue",
        "nsfs",
        "pidfs",
        "proc",
        "pstore",
        "resctrl",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    }
)
_LOCAL_FILESYSTEMS = _DISK_FILESYSTEMS | _KERNEL_FILESYSTEMS
_ON_NO_MOUNT = frozenset({"anon_inodefs", "nsfs", "pidfs", "pipefs", "sockfs"})
# Freeing a deleted file takes about a tenth of a second for each GiB.
_LARGE_FILE_BYTES = 64 * 2**20

# Not epoll: polling one polls whatever it watches, a FUSE file too, and waits for that server.
_POLLABLE_KINDS = frozenset(
    {
        Kind.SOCKET,
        Kind.PIPE,
        Kind.EVENTFD,
        Kind.PIDFD,
        Kind.TIMERFD,
        Kind.SIGNALFD,
        Kind.INOTIFY,
        Kind.FANOTIFY,
        Kind.USERFAULTFD,
        Kind.IO_URING,
        Kind.BPF,
        Kind.PERF_EVENT,
        Kind.SECCOMP_NOTIFY,
    }
)
# These have no poll operation, so no epoll instance can hold on to them (see `_may_block_on_close`).
_KINDS_EPOLL_REFUSES = frozenset({Kind.MEMFD, Kind.REGULAR, Kind.DIRECTORY, Kind.SYMLINK, Kind.NAMESPACE})

_ANONYMOUS_KINDS = {
    "[eventfd]": Kind.EVENTFD,
    "[eventpoll]": Kind.EPOLL,
    "[timerfd]": Kind.TIMERFD,
    "[signalfd]": Kind.SIGNALFD,
    "inotify": Kind.INOTIFY,
    "[fanotify]": Kind.FANOTIFY,
    "[userfaultfd]": Kind.USERFAULTFD,
    "[io_uring]": Kind.IO_URING,
    "[perf_event]": Kind.PERF_EVENT,
    "[pidfd]": Kind.PIDFD,
    "seccomp notify": Kind.SECCOMP_NOTIFY,
}
_KIND_BY_MODE = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFLNK: Kind.SYMLINK,
}
_ACCESS_BY_MODE: dict[int, Access] = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw", 3: "rw"}
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_MEMORY_DEVICE_MAJOR = 1
_POLLABLE_MEMORY_MINORS = frozenset({8, 9, 11})  # random, urandom, kmsg
# Polling one of these takes no lock of the socket's, which somebody who sends may hold for ever. A vsock's does.
_POLLABLE_FAMILIES = frozenset(
    {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET}
)
_IPPROTO_SMC = 256  # speaks for AF_INET, and is another family's

_live_mounts = LiveMountTable()
os.register_at_fork(after_in_child=_live_mounts.forget_in_child)


def stored_files_are_from(mount_table: int) -> None:
    """Tell file systems by this descriptor of a mount table, which is owned from now on, and not by our own table."""
    _live_mounts.follow(mount_table)


def classify(fd: int) -> FileFacts:
    """Find out what an open file is. Raises OSError (EBADF) only."""
    cached = syscalls.statx_cached(fd)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    internal = _internal_devices().get(cached.dev)
    if internal is None:
        return _on_a_mount(fd, cached, flags)
    filesystem, kind = internal
    if kind is None:
        kind = _anonymous_kind(procfs.fd_link(fd))
    return _facts(fd, cached, flags, kind, filesystem)


def is_answered_by_the_kernel(filesystem: str | None) -> bool:
    """Whether questions about a file there are, its attributes say: no server in user space has to be there for it."""
    return filesystem in _LOCAL_FILESYSTEMS or filesystem in _ON_NO_MOUNT


def _on_a_mount(fd: int, cached: CachedStat, flags: int) -> FileFacts:
    filesystem = _live_mounts.current().filesystem(cached.dev, cached.mnt_id)
    if not cached.mode and not cached.ino:
        return _refused_facts(fd, cached, flags, filesystem)
    kind = _KIND_BY_MODE.get(stat.S_IFMT(cached.mode), Kind.OTHER)
    return _facts(fd, cached, flags, kind, filesystem)


def _refused_facts(fd: int, cached: CachedStat, flags: int, filesystem: str | None) -> FileFacts:
    """A file of somebody's FUSE mount that refuses us: /proc still tells its inode number."""
    ino = int(procfs.fdinfo_field(procfs.fdinfo(fd), "ino"))
    kind = Kind.DIRECTORY if flags & os.O_DIRECTORY else Kind.OTHER
    return FileFacts(kind, cached.dev, ino, 0, _access(flags), filesystem, True, False)


def _facts(fd: int, cached: CachedStat, flags: int, kind: Kind, filesystem: str | None) -> FileFacts:
    access = _access(flags)
    return FileFacts(
        kind,
        cached.dev,
        cached.ino,
        cached.rdev,
        access,
        filesystem,
        _may_block_on_close(fd, kind, filesystem, access, cached.size),
        access != "path" and _is_pollable(fd, kind, filesystem, cached),
    )


def _may_block_on_close(fd: int, kind: Kind, filesystem: str | None, access: Access, size: int) -> bool:
    """Whether closing the last copy can wait for user space. When in doubt, yes.

    FUSE and network files send a FLUSH, sockets linger, terminals drain. Less known: the last close of a file
    that sits in an epoll set takes that set's lock, and whoever owns the set can hold the lock for ever by
    having it poll a FUSE file. So whatever epoll accepts may block, even a pipe.
    """
    if access == "path":
        return filesystem not in _LOCAL_FILESYSTEMS
    if kind not in _KINDS_EPOLL_REFUSES or filesystem not in _LOCAL_FILESYSTEMS:
        return True
    if kind is Kind.NAMESPACE:
        return procfs.fd_link(fd).startswith("mnt:")  # the last holder of a mount namespace unmounts
    return size > _LARGE_FILE_BYTES or (kind is Kind.REGULAR and filesystem not in _DISK_FILESYSTEMS)


def _is_pollable(fd: int, kind: Kind, filesystem: str | None, cached: CachedStat) -> bool:
    if kind is Kind.DEVICE:
        return _is_pollable_device(cached)
    if kind is Kind.SOCKET:
        return _is_pollable_socket(fd)
    return kind in _POLLABLE_KINDS or (kind is Kind.REGULAR and filesystem in _KERNEL_FILESYSTEMS)


def _is_pollable_device(cached: CachedStat) -> bool:
    """Not one whose driver may have it wait: a CUSE device is a process, and a terminal waits for who changes it."""
    if not stat.S_ISCHR(cached.mode) or os.major(cached.rdev) != _MEMORY_DEVICE_MAJOR:
        return False
    return os.minor(cached.rdev) in _POLLABLE_MEMORY_MINORS


def _is_pollable_socket(fd: int) -> bool:
    return (
        syscalls.socket_option(fd, socket.SO_DOMAIN) in _POLLABLE_FAMILIES
        and syscalls.socket_option(fd, socket.SO_PROTOCOL) != _IPPROTO_SMC
    )


def _access(flags: int) -> Access:
    return "path" if flags & os.O_PATH else _ACCESS_BY_MODE[flags & os.O_ACCMODE]


def _anonymous_kind(link: str) -> Kind:
    name = link.removeprefix("anon_inode:")
    if name.startswith(("bpf", "btf")):
        return Kind.BPF
    return _ANONYMOUS_KINDS.get(name, Kind.OTHER)


@functools.cache
def _internal_devices() -> dict[int, tuple[str, Kind | None]]:
    """Device numbers of the file systems that are mounted inside the kernel only, learnt from examples.

    Exact where a name is not: in another mount namespace a file can be called `/memfd:x (deleted)`. The kind
    is None where the device alone doesn't tell it.
    """
    found: dict[int, tuple[str, Kind | None]] = {}
    for filesystem, kind, make in _EXAMPLES:
        device = _device_of(make)
        if device is not None:
            found.setdefault(device, (filesystem, kind))
    return found


def _device_of(make: Callable[[], int]) -> int | None:
    try:
        fd = make()
    except OSError as error:
        if error.errno in _OUT_OF_RESOURCES:
            raise
        return None  # this kernel has no such thing, so nobody can stash one either
    try:
        return syscalls.statx_cached(fd).dev
    finally:
        os.close(fd)


def _memfd(flags: int) -> int:
    try:
        return os.memfd_create("example", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL | flags)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.memfd_create("example", os.MFD_CLOEXEC | flags)  # before Linux 6.3


def _one_pipe_end() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


_MFD_NOEXEC_SEAL = 0x8  # where vm.memfd_noexec is 2, there are no others
_HUGE_PAGE_SIZES = (
    0,
    os.MFD_HUGE_64KB,
    os.MFD_HUGE_1MB,
    os.MFD_HUGE_2MB,
    os.MFD_HUGE_16MB,
    os.MFD_HUGE_32MB,
    os.MFD_HUGE_512MB,
    os.MFD_HUGE_1GB,
    os.MFD_HUGE_2GB,
    os.MFD_HUGE_16GB,
)
# anon_inodefs comes before pidfs: until Linux 6.9 a pidfd was an anonymous inode.
_EXAMPLES: tuple[tuple[str, Kind | None, Callable[[], int]], ...] = (
    ("anon_inodefs", None, lambda: os.eventfd(0)),
    ("sockfs", Kind.SOCKET, lambda: socket.socket(socket.AF_UNIX).detach()),
    ("pipefs", Kind.PIPE, _one_pipe_end),
    ("tmpfs", Kind.MEMFD, lambda: _memfd(0)),
    ("nsfs", Kind.NAMESPACE, lambda: procfs.open_namespace("user")),
    ("pidfs", Kind.PIDFD, lambda: syscalls.pidfd_open(os.getpid())),
    *(
        ("hugetlbfs", Kind.MEMFD, functools.partial(_memfd, os.MFD_HUGETLB | size))
        for size in _HUGE_PAGE_SIZES
    ),
)
