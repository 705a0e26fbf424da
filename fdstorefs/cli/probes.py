"""What this machine can do, found out by doing it where that is possible."""

import os
import resource
import signal
from collections.abc import Callable

from fdstorefs.host import procfs, syscalls
from fdstorefs.server.mounting import DEVICE

_FEW = 4096


class Absent(Exception):
    """It isn't there; says what was found instead."""


def is_root() -> bool:
    """Whether we may mount without help."""
    return os.geteuid() == 0


def fuse_device() -> str:
    """Open the device."""
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Absent(_reason(error)) from None
    return "opens for reading and writing"


def user_namespace() -> str:
    """Make one, in a child."""
    _in_child(lambda: syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS))
    return "this user can make them"


def fusermount() -> str:
    """Look for it where a shell would."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, "fusermount3")
        if os.access(path, os.X_OK):
            return path
    raise Absent("not in $PATH")


def pidfd_getfd() -> str:
    """Copy a descriptor out of ourselves, which needs no right but the system call."""
    _copy_out_of_us()
    return "copies descriptors"


def descriptors_of_a_stranger() -> str:
    """Copy a descriptor out of a process that is none of our children: here the child's parent, us."""
    us = os.getpid()
    event = os.eventfd(0)
    try:
        _in_child(lambda: _copy_descriptor(us, event))
    finally:
        os.close(event)
    return "a process may look into others of its user"


def _copy_out_of_us() -> None:
    event = os.eventfd(0)
    try:
        _copy_descriptor(os.getpid(), event)
    except OSError as error:
        raise Absent(_reason(error)) from None
    finally:
        os.close(event)


def _copy_descriptor(pid: int, descriptor: int) -> None:
    pidfd = syscalls.pidfd_open(pid)
    try:
        os.close(syscalls.pidfd_getfd(pidfd, descriptor))
    finally:
        os.close(pidfd)


def kcmp() -> str:
    """Compare a descriptor with its copy."""
    reading, writing = os.pipe()
    copy = os.dup(reading)
    try:
        same = syscalls.same_file_order(reading, copy) == syscalls.SAME_FILE
    except OSError as error:
        raise Absent(_reason(error)) from None
    finally:
        for descriptor in (reading, writing, copy):
            os.close(descriptor)
    if not same:
        raise Absent("tells a descriptor from its copy")
    return "knows a descriptor's copy"


def descriptor_limit() -> str:
    """The hard limit, which a server takes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return "none"
    if hard <= _FEW:
        raise Absent(f"only {hard}")
    return f"{hard}"


def cgroup2() -> str:
    """Look for its mount."""
    for mount in procfs.mounts().mounts:
        if mount.fstype == "cgroup2":
            return f"mounted at {mount.mount_point}"
    raise Absent("not mounted")


def _in_child(act: Callable[[], object]) -> None:
    """Do something in a child that ends right after. Raises Absent with what it raised."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _act_and_end(act, writing)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if said:
        raise Absent(said)


def _act_and_end(act: Callable[[], object], pipe: int) -> None:
    try:
        act()
    except (Absent, OSError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        os.write(pipe, (reason or "failed").encode())
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
