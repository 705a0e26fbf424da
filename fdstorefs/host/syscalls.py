"""System calls that Python's standard library does not offer.

Every function raises `OSError` with the kernel's errno, so that `PermissionError`, `ProcessLookupError` and
the like come out by themselves. Nothing here reads /proc, and nothing here decides anything.
"""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
import sys
from typing import NamedTuple

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000

OPEN_TREE_CLONE = 0x1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4

RESOLVE_NO_MAGICLINKS = 0x2
RESOLVE_IN_ROOT = 0x10

MNT_FORCE = 0x1
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

SAME_FILE = 0
ORDERED_BEFORE = 1
ORDERED_AFTER = 2
DIFFERENT_WITHOUT_ORDER = 3

_PIDFD_THREAD = os.O_EXCL
_F_DUPFD_QUERY = 1027
_KCMP_FILE = 0
_KCMP_FILES = 2
_PR_SET_DUMPABLE = 4
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_PIDFD_OPEN = 434
_SYS_OPENAT2 = 437
_SYS_PIDFD_GETFD = 438
_SYS_KCMP_BY_MACHINE = {"x86_64": 312, "aarch64": 272}
_SYS_KCMP = _SYS_KCMP_BY_MACHINE.get(platform.machine())

_STATX_FLAGS = 0x1000 | 0x4000  # AT_EMPTY_PATH, AT_STATX_DONT_SYNC
# Type, mode, links, uid, gid, inode, size, mount. No time stamps: FUSE asks its server for a birth time that
# is not cached, DONT_SYNC or no.
_STATX_MASK = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100 | 0x200 | 0x1000
_STATX_LAYOUT = struct.Struct("=I4x8xIIIH2xQQ8x8x64xIIIIQ")
_StatxBuffer = ctypes.c_char * 256

_AddressBuffer = ctypes.c_char * 128

_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 0x1, 0x1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
_OPEN_HOW = struct.Struct("=QQQ")  # flags, mode, resolve

_TFD_TIMER_ABSTIME = 1
_TimerSpec = ctypes.c_int64 * 4  # seconds and nanoseconds, of the interval and of the first time

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long] * 6
_libc.syscall.restype = ctypes.c_long
_libc.statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, _StatxBuffer]
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.getsockopt.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.getsockname.argtypes = [ctypes.c_int, _AddressBuffer, ctypes.c_void_p]
_libc.getpeername.argtypes = [ctypes.c_int, _AddressBuffer, ctypes.c_void_p]
_libc.timerfd_create.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.timerfd_settime.argtypes = [ctypes.c_int, ctypes.c_int, _TimerSpec, ctypes.c_void_p]
_libc.fcntl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_ulong]


class CachedStat(NamedTuple):
    """What the kernel remembers of an inode, without asking whoever serves the file.

    `mode` is 0 and `ino` is 0 where a FUSE mount refuses this process any attribute (a mount without
    `allow_other` that belongs to somebody else); `dev` and `mnt_id` are right even then. `size` is in bytes.
    """

    dev: int
    ino: int
    mode: int
    rdev: int
    size: int
    uid: int
    gid: int
    mnt_id: int
    nlink: int


def pidfd_open(pid: int, *, thread: bool = False) -> int:
    """Open a pidfd for a process, or for one of its threads (`thread`, Linux 6.9; EINVAL before)."""
    flags = _PIDFD_THREAD if thread else 0
    return _syscall(f"open a pidfd for `{pid}`", _SYS_PIDFD_OPEN, pid, flags)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """Copy descriptor `fd` out of the process behind `pidfd`: needs the right to trace it (else EPERM)."""
    return _syscall(f"copy descriptor {fd} from another process", _SYS_PIDFD_GETFD, pidfd, fd, 0)


def same_file_order(a: int, b: int) -> int:
    """Compare the open file descriptions behind two of our own descriptors.

    Returns SAME_FILE, ORDERED_BEFORE or ORDERED_AFTER (a total order that holds while both stay open). Where
    kcmp(2) is missing or forbidden the answer is SAME_FILE or DIFFERENT_WITHOUT_ORDER (fcntl F_DUPFD_QUERY,
    Linux 6.10). Raises OSError when neither is to be had.
    """
    if _SYS_KCMP is None:
        return _same_file_without_order(a, b)
    pid = os.getpid()
    order: int = _libc.syscall(_SYS_KCMP, pid, pid, _KCMP_FILE, a, b)
    if order >= 0:
        return order
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EPERM):
        return _same_file_without_order(a, b)
    raise _failure(code, f"compare descriptors {a} and {b}")


def _same_file_without_order(a: int, b: int) -> int:
    return SAME_FILE if fcntl.fcntl(a, _F_DUPFD_QUERY, b) else DIFFERENT_WITHOUT_ORDER


def same_descriptor_table(tid_a: int, tid_b: int) -> bool:
    """Whether two threads share one descriptor table, so that a number means the same file to both."""
    if _SYS_KCMP is None:
        raise _failure(errno.ENOSYS, f"compare the descriptor tables of {tid_a} and {tid_b}")
    what = f"compare the descriptor tables of {tid_a} and {tid_b}"
    return _syscall(what, _SYS_KCMP, tid_a, tid_b, _KCMP_FILES) == 0


def statx_cached(fd: int) -> CachedStat:
    """What the kernel has cached about an open file: never a question to a FUSE or NFS server.

    One exception, that no unprivileged user can arrange: before Linux 6.11 the path lookup behind this call
    may revalidate an NFS or 9p directory.
    """
    buffer = _StatxBuffer()
    if _libc.statx(fd, b"", _STATX_FLAGS, _STATX_MASK, buffer):
        _statx_nothing(fd, buffer)
    _, nlink, uid, gid, mode, ino, size, rmajor, rminor, major, minor, mnt_id = _STATX_LAYOUT.unpack_from(
        buffer
    )
    dev = os.makedev(major, minor)
    return CachedStat(dev, ino, mode, os.makedev(rmajor, rminor), size, uid, gid, mnt_id, nlink)


def _statx_nothing(fd: int, buffer: "ctypes.Array[ctypes.c_char]") -> None:
    """Ask for no attribute at all: a FUSE mount that refuses us everything else still tells its device."""
    code = ctypes.get_errno()
    if code != errno.EACCES or _libc.statx(fd, b"", _STATX_FLAGS, 0, buffer):
        raise _failure(code, f"read the attributes of descriptor {fd}")


def mount(
    source: AnyPath | None,
    target: AnyPath,
    fstype: str | None,
    flags: int = 0,
    data: str | bytes | None = None,
) -> None:
    """mount(2). `source`, `fstype` and `data` may be None where the kind of mount ignores them."""
    arguments = (_path(source), os.fsencode(target), _path(fstype), flags, _path(data))
    _check(_libc.mount(*arguments), f"mount `{os.fsdecode(target)}`")


def open_tree(path: AnyPath, flags: int) -> int:
    """open_tree(2): a descriptor of the mount at `path`; with OPEN_TREE_CLONE, of a detached copy of it."""
    what = f"copy the mount at `{os.fsdecode(path)}`"
    return _syscall(what, _SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)


def copy_mount(mount: int) -> int:
    """A detached copy of the mount whose root `mount` is open, as open_tree(2) makes it."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | _AT_EMPTY_PATH
    return _syscall("copy a mount", _SYS_OPEN_TREE, mount, b"", flags)


def openat2(directory: int, path: AnyPath, flags: int, resolve: int) -> int:
    """openat2(2): `resolve` (RESOLVE_...) says which ways the path may take."""
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, 0, resolve)
    what = f"open `{os.fsdecode(path)}`"
    return _syscall(what, _SYS_OPENAT2, directory, os.fsencode(path), how, _OPEN_HOW.size)


def new_mount(fstype: str, options: dict[str, str | None], attributes: int) -> int:
    """A new file system with these options (None: a flag), mounted nowhere yet: fsopen(2) to fsmount(2).

    `attributes` are MOUNT_ATTR_... of the mount. Needs CAP_SYS_ADMIN over our mount namespace.
    """
    context = _syscall(f"make a `{fstype}`", _SYS_FSOPEN, fstype.encode(), _FSOPEN_CLOEXEC)
    try:
        for key, value in options.items():
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            text: int | bytes = 0 if value is None else value.encode()
            what = f"give a `{fstype}` the option `{key}`"
            _syscall(what, _SYS_FSCONFIG, context, command, key.encode(), text, 0)
        _syscall(f"make a `{fstype}`", _SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, 0, 0, 0)
        return _syscall(f"mount a `{fstype}`", _SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def attach_mount(mount: int, directory: int) -> None:
    """Mount what `new_mount` has made over an open directory: move_mount(2)."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    empty = b""
    _syscall("mount over a directory", _SYS_MOVE_MOUNT, mount, empty, directory, empty, flags)


def umount2(target: AnyPath, flags: int = 0) -> None:
    """umount2(2): MNT_DETACH for a lazy one, MNT_FORCE aborts a FUSE connection first."""
    _check(_libc.umount2(os.fsencode(target), flags), f"unmount `{os.fsdecode(target)}`")


def unshare(flags: int) -> None:
    """unshare(2) for the calling thread (CLONE_NEWUSER and CLONE_NEWPID want a single-threaded process)."""
    _check(_libc.unshare(flags), f"unshare namespaces {flags:#x}")


def setns(fd: int, nstype: int) -> None:
    """setns(2): move the calling thread into the namespace behind `fd`; `nstype` is a CLONE_NEW... or 0."""
    _check(_libc.setns(fd, nstype), "enter a namespace")


def socket_option(fd: int, option: int) -> int:
    """A SOL_SOCKET option of up to eight bytes as a number. Never waits.

    The standard library's socket objects are no use for a stranger's socket: making one from a descriptor
    asks for its address. That waits for the socket's lock, which a stalled sender holds for ever; and
    Python keeps its own global lock meanwhile, so every thread stops.
    """
    value = ctypes.c_uint64(0)
    size = ctypes.c_uint(ctypes.sizeof(value))
    result = _libc.getsockopt(fd, socket.SOL_SOCKET, option, ctypes.byref(value), ctypes.byref(size))
    _check(result, f"read socket option {option} of descriptor {fd}")
    return int.from_bytes(bytes(value)[: size.value], sys.byteorder)


def socket_address(fd: int, *, peer: bool = False) -> bytes:
    """getsockname(2) or getpeername(2), as the kernel's `struct sockaddr`.

    Waits for the socket's lock, for ever perhaps, unless the socket is AF_UNIX.
    """
    address = _AddressBuffer()
    size = ctypes.c_uint(ctypes.sizeof(address))
    ask = _libc.getpeername if peer else _libc.getsockname
    _check(ask(fd, address, ctypes.byref(size)), f"read the address of descriptor {fd}")
    return address.raw[: min(size.value, len(address))]


def set_descriptor_flags(fd: int, flags: int) -> None:
    """fcntl(2) F_SETFD with all 64 bits of its argument, of which the kernel's own meaning is the lowest.

    Python's own function passes on 32.
    """
    _check(_libc.fcntl(fd, fcntl.F_SETFD, flags), f"set the flags of descriptor {fd}")


def timerfd(clock: int) -> int:
    """A timer of a clock (CLOCK_...), as a descriptor that doesn't block; it is not set."""
    return _check(_libc.timerfd_create(clock, os.O_CLOEXEC | os.O_NONBLOCK), "make a timer")


def set_timer(fd: int, when: int | None) -> None:
    """Set a timer to a moment in ns of its clock, at once if that is over; None: it is not set any more."""
    # All zeros are no moment, so the first one that there is has to do.
    spec = _TimerSpec(0, 0, *divmod(max(when, 1), 1_000_000_000)) if when is not None else _TimerSpec()
    _check(_libc.timerfd_settime(fd, _TFD_TIMER_ABSTIME, spec, None), "set a timer")


def set_dumpable(dumpable: bool) -> None:
    """Open this process to what runs with its user's ids, as most are, or close it to all but the privileged.

    Closed, nobody else opens its /proc/PID/mem and fd, or traces it. From prctl(2), PR_SET_DUMPABLE.
    """
    _check(_libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0), "say who may look into this process")


def _syscall(what: str, number: int, *arguments: int | bytes) -> int:
    """Bytes are passed as the address of a copy with a NUL at its end."""
    buffers = [ctypes.create_string_buffer(each) if isinstance(each, bytes) else each for each in arguments]
    numbers = [each if isinstance(each, int) else ctypes.addressof(each) for each in buffers]
    padded = numbers + [0] * (5 - len(numbers))
    return _check(_libc.syscall(number, *padded), what)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise _failure(ctypes.get_errno(), what)
    return result


def _failure(code: int, what: str) -> OSError:
    return OSError(code, f"cannot {what}: {os.strerror(code).lower()}")


def _path(path: AnyPath | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


_libc.inotify_init1.argtypes = [ctypes.c_int]
_libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
_libc.inotify_rm_watch.argtypes = [ctypes.c_int, ctypes.c_int]


def inotify_init() -> int:
    """inotify_init1(2): a descriptor that doesn't block."""
    return _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "watch directories")


def inotify_add_watch(fd: int, path: AnyPath, mask: int) -> int:
    """inotify_add_watch(2): watch what `path` leads to; returns the number of the watch."""
    return _check(_libc.inotify_add_watch(fd, os.fsencode(path), mask), f"watch `{os.fsdecode(path)}`")


def inotify_rm_watch(fd: int, number: int) -> None:
    """inotify_rm_watch(2): end a watch; EINVAL if there is none of this number."""
    _check(_libc.inotify_rm_watch(fd, number), f"end watch {number}")
