"""Lending: whose reads and writes the server carries out on a stored file, with its own credentials.

Most files ask nobody for credentials once they are open. Some do, at each read or write: they look at the
process that calls, and through a handle that is the server, not the client. A Unix socket tells its peer who
sends. Files of proc, sysfs and cgroup, and device drivers, check what the caller may do. Reading a signalfd
gives the signals of whoever reads. So what a handle does depends on the stored file:

- pipes, memfds, eventfds, IPv4 and IPv6 sockets, and regular files of ordinary file systems: open to everyone
  who may retrieve the entry;
- other sockets, other regular files, devices, timerfds, inotify: only for a caller with at least the server's
  own rights, at open and again at each read and write (EPERM);
- all else has no meaning through a handle (EOPNOTSUPP).

Whoever is refused retrieves the descriptor over the socket, and uses it with his own credentials.
"""

import os
import socket

from fdstorefs.core.node import OpenFile
from fdstorefs.errors import NotPermitted, NotSupported
from fdstorefs.host import procfs, syscalls
from fdstorefs.server.fuse.caller import Caller, Identity, identify

_OPEN_TO_EVERYONE = frozenset({"pipe", "memfd", "eventfd"})
_FOR_EQUALS = frozenset({"socket", "regular", "device", "timerfd", "inotify"})
_INTERNET = (socket.AF_INET, socket.AF_INET6)

ORDINARY_FILESYSTEMS = frozenset(
    {
        "bcachefs",
        "btrfs",
        "erofs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "iso9660",
        "msdos",
        "ntfs3",
        "overlay",
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
"""Where reading and writing an open regular file asks for nobody's credentials."""

_INSTEAD = "retrieve the descriptor over the socket (`.fdstore`) and use it there"


def needs_equal(file: OpenFile) -> bool:
    """Whether only a caller with the server's own rights may use this file through a handle.

    Raises NotSupported for a file that nobody can use so.
    """
    if file.access == "path":
        raise NotSupported("an O_PATH descriptor can be neither read nor written", hint=_INSTEAD)
    if file.kind in _OPEN_TO_EVERYONE:
        return False
    if file.kind not in _FOR_EQUALS:
        raise NotSupported(f"a {file.kind} cannot be used through the mount", hint=_INSTEAD)
    return not _is_ordinary(file)


def _is_ordinary(file: OpenFile) -> bool:
    if file.kind == "regular":
        return file.filesystem in ORDINARY_FILESYSTEMS
    return file.kind == "socket" and syscalls.socket_option(file.descriptor, socket.SO_DOMAIN) in _INTERNET


def require_equal(caller: Caller) -> None:
    """Raise NotPermitted unless the caller has every right of the server, NoSuchProcess if it is gone."""
    theirs = identify(caller)
    ours = _own_identity()
    if not _includes(theirs, ours):
        raise NotPermitted(
            "this file looks at the credentials of whoever reads or writes it, and through the mount that "
            "would be the server",
            hint=_INSTEAD,
        )


def _own_identity() -> Identity:
    facts = procfs.read_task(os.getpid())
    return identify(Caller(facts.uids[3], facts.gids[3], facts.tid), facts)


def _includes(theirs: Identity, ours: Identity) -> bool:
    return (
        theirs.uids == ours.uids
        and theirs.gids == ours.gids
        and theirs.groups >= ours.groups
        and theirs.userns == ours.userns is not None
        and ours.cap_effective & ~theirs.cap_effective == 0
    )
