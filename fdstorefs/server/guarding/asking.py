"""Asking the kernel whether it enforces the policy on an open file: one system call, and nobody else is involved."""

import errno
from collections.abc import Callable

from fdstorefs.bpf.abi import ASK, TOKEN
from fdstorefs.host import syscalls

Ask = Callable[[int], int]
"""Takes a descriptor. What the kernel answers is one of these, or another errno."""

CLASSIFIED = errno.EISCONN
"""The open file is tagged for this instance, and the kernel knows by which names to judge who receives it."""

UNCLASSIFIED = errno.EINPROGRESS
"""It is tagged, and delivered to nobody."""

UNTAGGED = errno.ENOTCONN
"""It is not tagged for this instance."""

NOBODY = 0
"""Nobody enforces anything, or this process is not registered as an instance's server."""


def ask(descriptor: int) -> int:
    """Ask about the open file behind a descriptor."""
    try:
        syscalls.set_descriptor_flags(descriptor, TOKEN << 32 | ASK)
    except OSError as error:
        return error.errno or errno.EIO
    return NOBODY
