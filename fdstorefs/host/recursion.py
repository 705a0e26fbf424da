"""The ELOOP rule: the store never holds itself, in whatever disguise."""

import array
import errno
import os
import socket
import time
from collections.abc import Iterator
from typing import NoReturn

from fdstorefs.host import bounded_call, procfs, syscalls
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.file_kind import FileFacts, Kind, classify
from fdstorefs.host.socket_name import peer_of, unix_name

INODE_PREFIX = 0xFD57
"""The top 16 bits of every inode number that any fdstorefs instance hands out."""

INODE_PREFIX_SHIFT = 48
FILESYSTEM = "fuse.fdstorefs"
SOCKET_NAMES = frozenset({".fdstore", ".notify"})
"""The names of the sockets in the root of every instance."""

_SOCKET_NAMES = frozenset(map(os.fsencode, SOCKET_NAMES))

# Long, for giving up means accepting. Each stalled socket costs it once.
_PATIENCE_SECONDS = 1.0
_RESTS = 10
"""How much longer than it was waited for in vain what the same user sends is not waited for at all."""
_MOST_NESTED = 4  # the kernel's own limit on sockets in sockets
_MOST_DESCRIPTORS_PER_MESSAGE = 253
_SO_PEEK_OFF = 42
# A queue that was emptied meanwhile; a listening socket; one without a peer.
_NOTHING_TO_SEE = frozenset({errno.EAGAIN, errno.EINVAL, errno.ENOTCONN, errno.ECONNRESET})
_UNDECIDED = frozenset({None, "fuse", "fuseblk"})


class RecursionGuard:
    """Refuses what would put a store into itself, or into another store.

    Always recognised: a file of this instance (by device, through whatever bind mount); a file of an instance
    whose mount our mount namespace shows; this server's own sockets (`own_sockets`, their inode numbers).

    Recognised by what every instance has in common: a file on a mount that we don't see, by the prefix of its
    inode number; a Unix socket whose own or peer's name is that of a store's socket, so the listening socket,
    an accepted connection and a client's end alike. Nothing else may be called `.fdstore` or `.notify` and be
    stashed.

    A Unix socket that carries descriptors is looked into without taking anything out. Accepted, because it
    can't be told: what is in messages after the first; in a connection not yet accepted; in the queue of a
    peer; in a socket with SO_PEEK_OFF set, where looking would shift it for its owner; in one that another
    user keeps locked, and for some seconds after that in whatever the same user sends; and what is sent into
    the socket after it was stashed.
    """

    def __init__(
        self, own_device: int | None, server_pid: int, descriptors: Descriptors | None = None
    ) -> None:
        self.own_device = own_device
        self.own_sockets: set[int] = set()
        self._server_pid = server_pid
        self._descriptors = descriptors or Descriptors()
        self._rests_until: dict[int | None, float] = {}

    def check(self, fd: int, facts: FileFacts, sender: int | None = None) -> None:
        """Raise OSError (ELOOP) where the descriptor is, or carries, a file or socket of any fdstorefs.

        `sender` is the uid of who sent it: copies of what it carries are closed in that one's share of threads.
        """
        self._check_itself(fd, facts)
        if _carries_descriptors(fd, facts):
            self._check_carried(fd, sender)

    def _check_itself(self, fd: int, facts: FileFacts) -> None:
        if facts.dev == self.own_device:
            _refuse("a file of this very store")
        if _is_file_of_any_store(facts):
            _refuse("a file of another store")
        if facts.kind is Kind.SOCKET and facts.access != "path":
            self._check_socket(fd, facts)

    def _check_socket(self, fd: int, facts: FileFacts) -> None:
        if facts.ino in self.own_sockets:
            _refuse("one of this store's own sockets")
        if _is_unix(fd) and _has_name_of_a_store(fd):
            whose = "this very store" if self._leads_to_this_server(fd) else "a store"
            _refuse(f"a socket of {whose}")

    def _leads_to_this_server(self, fd: int) -> bool:
        return syscalls.socket_option(fd, socket.SO_PEERCRED) & 0xFFFF_FFFF == self._server_pid

    def _check_carried(self, fd: int, sender: int | None) -> None:
        if time.monotonic() < self._rests_until.get(sender, 0.0):
            return  # nobody makes everybody wait again and again
        try:
            bounded_call.ask_about(fd, lambda copy: self._check_messages(copy, 1, sender), _PATIENCE_SECONDS)
        except TimeoutError:
            # Locked by another of its users: can't be told.
            self._rest(sender)

    def _rest(self, sender: int | None) -> None:
        now = time.monotonic()
        self._rests_until = {uid: until for uid, until in self._rests_until.items() if until > now}
        self._rests_until[sender] = now + _RESTS * _PATIENCE_SECONDS

    def _check_messages(self, fd: int, depth: int, sender: int | None) -> None:
        for carried in self._peek(fd, sender):
            facts = classify(carried)
            self._check_itself(carried, facts)
            if depth < _MOST_NESTED and _carries_descriptors(carried, facts):
                self._check_messages(carried, depth + 1, sender)

    def _peek(self, fd: int, sender: int | None) -> Iterator[int]:
        """Copies of the descriptors in the first message. Each is disposed of when its turn is over."""
        copies = [self._descriptors.adopt(copy) for copy in _peek_descriptors(fd)]
        try:
            yield from copies
        finally:
            for copy in copies:
                self._descriptors.discard(copy, may_block=True, sender=sender)


def _is_file_of_any_store(facts: FileFacts) -> bool:
    if facts.filesystem == FILESYSTEM:
        return True
    # Only where the mount doesn't tell: other file systems may use all 64 bits of a number.
    has_prefix = facts.ino >> INODE_PREFIX_SHIFT == INODE_PREFIX
    return has_prefix and facts.filesystem in _UNDECIDED and os.major(facts.dev) == 0


def _is_unix(fd: int) -> bool:
    return syscalls.socket_option(fd, socket.SO_DOMAIN) == socket.AF_UNIX


def _has_name_of_a_store(fd: int) -> bool:
    return any(
        name and os.path.basename(name) in _SOCKET_NAMES for name in (unix_name(fd), peer_of(fd, unix_name))
    )


def _carries_descriptors(fd: int, facts: FileFacts) -> bool:
    if facts.kind is not Kind.SOCKET or facts.access == "path" or not _is_unix(fd):
        return False
    return procfs.fdinfo_field(procfs.fdinfo(fd), "scm_fds") != "0"


def _peek_descriptors(fd: int) -> "array.array[int]":
    found = array.array("i")
    if _peeking_would_shift(fd):
        return found
    borrowed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        space = socket.CMSG_SPACE(_MOST_DESCRIPTORS_PER_MESSAGE * found.itemsize)
        flags = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        _, control, _, _ = borrowed.recvmsg(1, space, flags)
    except OSError as error:
        if error.errno not in _NOTHING_TO_SEE:
            raise
        return found
    finally:
        borrowed.detach()
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found


def _peeking_would_shift(fd: int) -> bool:
    return syscalls.socket_option(fd, _SO_PEEK_OFF) != 0xFFFF_FFFF  # -1: off


def _refuse(what: str) -> NoReturn:
    raise OSError(errno.ELOOP, f"{what} cannot be stashed in a store")
