"""Taking a descriptor, by its number, out of the process that asks for it to be stashed."""

import errno
import os
import re

from fdstorefs.errors import (
    BadDescriptor,
    InvalidArgument,
    NoSuchProcess,
    NotPermitted,
    NotSupported,
)
from fdstorefs.host import procfs, syscalls
from fdstorefs.server.fuse import caller as callers
from fdstorefs.server.fuse.caller import Caller, Identity
from fdstorefs.server.out_of_descriptors import OUT_OF_DESCRIPTORS, as_quota

TEXT_BYTES = 32
"""A number is written in fewer bytes than these."""

_NUMBER = re.compile(rb"([0-9]+)\n?")
_LARGEST = 2**31 - 1


def parse_number(text: bytes) -> int:
    """The descriptor number in `text`: decimal digits and at most one newline.

    Errors: InvalidArgument, BadDescriptor for a number that no descriptor has.
    """
    found = _NUMBER.fullmatch(text) if len(text) < TEXT_BYTES else None
    if found is None:
        raise InvalidArgument(
            f"{text[:TEXT_BYTES]!r} is not a descriptor number",
            hint="write the number of an open descriptor in decimal, such as `3`",
        )
    number = int(found[1])
    if number > _LARGEST:
        raise BadDescriptor(f"{number} is not an open descriptor")
    return number


def take(caller: Caller, number: int, expected: Identity | None = None) -> int:
    """A copy of descriptor `number` of the calling thread. It is the caller's to close or hand on.

    `expected` is who the caller must be. The process is held by a pidfd while it is looked at, so the
    descriptor comes from the one that was looked at. Errors: NoSuchProcess, NotPermitted (somebody else, or a
    process that we may not trace), BadDescriptor, QuotaExceeded.
    """
    pidfd = _hold(caller)
    try:
        _check(caller, pidfd, expected)
        return _copy(pidfd, number)
    finally:
        os.close(pidfd)


def _hold(caller: Caller) -> int:
    """A pidfd that leads to the descriptor table of the calling thread."""
    try:
        facts = callers.read(caller)
        if facts.tgid == caller.tid:
            return syscalls.pidfd_open(caller.tid)
        return _hold_thread(caller.tid, facts.tgid)
    except ProcessLookupError as error:
        raise NoSuchProcess("the calling process is gone") from error


def _hold_thread(tid: int, tgid: int) -> int:
    try:
        return syscalls.pidfd_open(tid, thread=True)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    # Before Linux 6.9 only whole processes have pidfds, and those show the main thread's table.
    pidfd = syscalls.pidfd_open(tgid)
    if not _shares_table(tid, tgid):
        os.close(pidfd)
        raise NotSupported(
            f"thread {tid} has a descriptor table of its own, which this kernel cannot reach",
            hint="stash from the main thread, or over the socket",
        )
    return pidfd


def _shares_table(tid: int, tgid: int) -> bool:
    try:
        return syscalls.same_descriptor_table(tid, tgid)
    except OSError:
        return False  # whatever kept us from seeing it, nothing says that they share it


def _check(caller: Caller, pidfd: int, expected: Identity | None) -> None:
    try:
        facts = procfs.read_task_checked(caller.tid, pidfd)
    except ProcessLookupError as error:
        raise NoSuchProcess("the calling process is gone") from error
    identity = callers.identify(caller, facts)
    if expected is not None and identity != expected:
        raise NotPermitted(
            f"process {identity.tgid} did not open this handle, or had other credentials when it did: "
            "a descriptor is taken only from the process that opened the entry to stash it",
            hint="open the entry in the process that stashes",
        )


def _copy(pidfd: int, number: int) -> int:
    try:
        return syscalls.pidfd_getfd(pidfd, number)
    except ProcessLookupError as error:
        raise NoSuchProcess("the calling process is gone") from error
    except PermissionError as error:
        raise NotPermitted(
            "the server may not copy descriptors of the calling process: it has other credentials, or is not "
            "dumpable",
            hint="stash over the socket, where the process sends the descriptor itself",
        ) from error
    except OSError as error:
        if error.errno == errno.EBADF:
            raise BadDescriptor(f"{number} is not an open descriptor") from error
        if error.errno in OUT_OF_DESCRIPTORS:
            raise as_quota(error) from error
        raise
