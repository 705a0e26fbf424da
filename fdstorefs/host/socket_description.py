"""What a person calls a socket: `tcp 127.0.0.1:8080 listening`, `unix stream pair`, `netlink route`."""

import os
import socket

from fdstorefs.host import bounded_call, syscalls
from fdstorefs.host.socket_name import internet_name, peer_of, unix_name

# A socket answers in microseconds, unless one of its users stalls it or the machine is very busy.
_PATIENCE_SECONDS = 0.25

_TYPES: dict[int, str] = {
    socket.SOCK_STREAM: "stream",
    socket.SOCK_DGRAM: "dgram",
    socket.SOCK_RAW: "raw",
    socket.SOCK_RDM: "rdm",
    socket.SOCK_SEQPACKET: "seqpacket",
}
_PROTOCOLS: dict[int, str] = {
    socket.IPPROTO_TCP: "tcp",
    socket.IPPROTO_UDP: "udp",
    socket.IPPROTO_ICMP: "icmp",
    socket.IPPROTO_ICMPV6: "icmpv6",
    socket.IPPROTO_SCTP: "sctp",
    socket.IPPROTO_UDPLITE: "udplite",
    socket.IPPROTO_MPTCP: "mptcp",
}
_NETLINK_FAMILIES = {
    0: "route",
    2: "usersock",
    4: "sock_diag",
    5: "nflog",
    6: "xfrm",
    7: "selinux",
    8: "iscsi",
    9: "audit",
    10: "fib_lookup",
    11: "connector",
    12: "netfilter",
    15: "uevent",
    16: "generic",
    20: "rdma",
    21: "crypto",
}


def describe_socket(fd: int) -> str:
    """One line for a socket, of whatever network namespace: only the socket itself is asked.

    Not yet safe to print: names are as their owners chose them.
    """
    family = syscalls.socket_option(fd, socket.SO_DOMAIN)
    if family == socket.AF_UNIX:
        return _unix(fd)
    if family == socket.AF_NETLINK:
        return _netlink(fd)
    if family == socket.AF_VSOCK:
        return _with_addresses(fd, f"vsock {_type_name(fd)}")
    if family in (socket.AF_INET, socket.AF_INET6):
        return _internet(fd)
    return f"{_family_name(family)} {_type_name(fd)}"


def _family_name(family: int) -> str:
    try:
        return socket.AddressFamily(family).name.removeprefix("AF_").lower()
    except ValueError:
        return f"family {family}"


def _type_name(fd: int) -> str:
    number = syscalls.socket_option(fd, socket.SO_TYPE)
    return _TYPES.get(number, f"type {number}")


def _netlink(fd: int) -> str:
    protocol = syscalls.socket_option(fd, socket.SO_PROTOCOL)
    return f"netlink {_NETLINK_FAMILIES.get(protocol, protocol)}"


def _unix(fd: int) -> str:
    type_name = _type_name(fd)
    local, peer = unix_name(fd), peer_of(fd, unix_name)
    if _is_listening(fd):
        return f"unix {_shown(local)} listening"
    if peer is None:
        return f"unix {type_name} {_shown(local) or 'not bound'}"
    if not local and not peer:
        return f"unix {type_name} pair"
    arrow = f"-> {_shown(peer)}" if peer else ""
    return " ".join(part for part in ("unix", _shown(local), arrow, "connected") if part)


def _shown(name: bytes | None) -> str:
    """A name as tools show it: abstract ones begin with `@`, so that a path must not."""
    if not name:
        return ""
    if name.startswith(b"\0"):
        return "@" + name[1:].decode(errors="surrogateescape")
    path = os.fsdecode(name)
    return f"./{path}" if path.startswith("@") else path


def _internet(fd: int) -> str:
    protocol = syscalls.socket_option(fd, socket.SO_PROTOCOL)
    name = _PROTOCOLS.get(protocol, f"ip protocol {protocol}")
    if syscalls.socket_option(fd, socket.SO_TYPE) == socket.SOCK_RAW:
        return f"raw {name}"  # the protocol number stands where the port would
    return _with_addresses(fd, name)


def _with_addresses(fd: int, name: str) -> str:
    try:
        return f"{name} {bounded_call.ask_about(fd, _addresses, _PATIENCE_SECONDS)}"
    except TimeoutError:
        return f"{name} (locked by another user of it)"


def _addresses(fd: int) -> str:
    local, peer = internet_name(fd), peer_of(fd, internet_name)
    if _is_listening(fd):
        return f"{local} listening"
    if peer is not None:
        return f"{local} -> {peer} connected"
    return str(local) if local.port not in (0, socket.VMADDR_PORT_ANY) else "not bound"


def _is_listening(fd: int) -> bool:
    return bool(syscalls.socket_option(fd, socket.SO_ACCEPTCONN))
