"""What a socket is called: the addresses that it and its peer are bound to."""

import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fdstorefs.host import syscalls

Name = TypeVar("Name")

_FAMILY = struct.Struct("=H")
_INET = struct.Struct("!2xH4s")
_INET6 = struct.Struct("!2xH4x16s")
_INET6_SCOPE = struct.Struct("=24xI")
_VSOCK = struct.Struct("=4xII")


@dataclass(frozen=True, slots=True)
class HostAndPort:
    """An address of an internet or vsock socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def unix_name(fd: int, *, peer: bool = False) -> bytes:
    """What a Unix socket is bound to: a path, an abstract name (with its zero byte), empty for none.

    Never waits.
    """
    address = syscalls.socket_address(fd, peer=peer)[_FAMILY.size :]
    return address if address.startswith(b"\0") else address.rstrip(b"\0")


def internet_name(fd: int, *, peer: bool = False) -> HostAndPort:
    """The address of an AF_INET, AF_INET6 or AF_VSOCK socket. May wait for ever for the socket's lock."""
    address = syscalls.socket_address(fd, peer=peer)
    (family,) = _FAMILY.unpack_from(address)
    if family == socket.AF_INET:
        port, host = _INET.unpack_from(address)
        return HostAndPort(socket.inet_ntop(family, host), port)
    if family == socket.AF_INET6:
        return _inet6_name(address)
    port, cid = _VSOCK.unpack_from(address)
    return HostAndPort(str(cid), port)


def _inet6_name(address: bytes) -> HostAndPort:
    port, host = _INET6.unpack_from(address)
    (scope,) = _INET6_SCOPE.unpack_from(address)
    # By number: the interface's name would be looked up in our own network namespace, the wrong one.
    zone = f"%{scope}" if scope else ""
    return HostAndPort(f"[{socket.inet_ntop(socket.AF_INET6, host)}{zone}]", port)


def peer_of(fd: int, name: Callable[..., Name]) -> Name | None:
    """The peer's name, None where a socket isn't connected."""
    try:
        return name(fd, peer=True)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.EINVAL):
            raise
        return None
