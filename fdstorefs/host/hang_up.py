"""Hang-ups: whether the other side of an open file has gone, asked only where asking waits for nobody.

The rule is systemd's, whose manager polls what services have stored for no event at all, and drops what is in error or
hung up. But it applies to fewer files, since a descriptor comes from anybody:

- Only to what the kernel answers for without a lock that somebody could hold. A FUSE file is polled by its server, an
  epoll set by all that is in it, a character device by its driver (CUSE: by a process), and a terminal or a vsock waits
  for whoever reads or writes it, who may wait for a page of a file of his own.
- Only where it means that somebody has gone. A file in /proc or /sys is in error whenever it has changed.
- Not to a stream socket that was never connected. The kernel calls that hung up, too, but nobody has gone.
"""

import select
import socket

from fdstorefs.host import syscalls
from fdstorefs.host.file_kind import Kind

HANG_UP, ERROR = "hang-up", "error"

_KINDS = frozenset({Kind.SOCKET, Kind.PIPE, Kind.EVENTFD, Kind.PIDFD, Kind.SECCOMP_NOTIFY})
_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
_IPPROTO_MPTCP = 262
_PROTOCOLS = frozenset({socket.IPPROTO_TCP, socket.IPPROTO_UDP, _IPPROTO_MPTCP})


def has_another_side(kind: str) -> bool:
    """Whether there are open files of this kind that can hang up."""
    return kind in _KINDS


def can_hang_up(descriptor: int, kind: str, access: str) -> bool:
    """Whether it makes sense to watch this open file, and is safe. Asks nobody. Raises OSError (EBADF)."""
    if access == "path" or kind not in _KINDS:
        return False
    return kind != Kind.SOCKET or _is_safe(descriptor)


def _is_safe(descriptor: int) -> bool:
    family = syscalls.socket_option(descriptor, socket.SO_DOMAIN)
    if family == socket.AF_UNIX:
        return True
    return family in _INTERNET and syscalls.socket_option(descriptor, socket.SO_PROTOCOL) in _PROTOCOLS


def has_hung_up(descriptor: int, kind: str) -> str | None:
    """`hang-up` or `error`, None for neither; only for what `can_hang_up`."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    found = poll.poll(0)
    events = found[0][1] if found else 0
    if events & select.POLLERR:
        return ERROR
    if events & select.POLLHUP and (kind != Kind.SOCKET or events & select.POLLRDHUP):
        return HANG_UP
    return None
