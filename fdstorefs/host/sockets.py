"""What the kernel tells about a socket through netlink sock_diag, in whatever network namespace it lives.

The only file that imports pyroute2, and only when it is asked something: the import takes longer than all the
rest of a start.
"""

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fdstorefs.host import bounded_call, syscalls
from fdstorefs.host.socket_name import internet_name

_SO_COOKIE = 57
_SO_NETNS_COOKIE = 71
_SIOCGSKNS = 0x894C
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 0x1
_NLM_F_DUMP = 0x300
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_UNIX_SHOW_VFS_PEER_QUEUES = 0x2 | 0x4 | 0x10
_EVERY_STATE = 0xFFFF_FFFF
_LARGEST_ANSWER = 65536
# A dump walks every socket of the namespace, and the import of pyroute2 may come on top.
_PATIENCE_SECONDS = 2.0

_STATES = {
    1: "established",
    2: "syn-sent",
    3: "syn-received",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "unconnected",
    8: "close-wait",
    9: "last-ack",
    10: "listening",
    11: "closing",
    12: "new-syn-received",
}


@dataclass(frozen=True, slots=True)
class SocketDetails:
    """A socket as sock_diag shows it.

    `uid` is the owner's, in our user namespace. The queues are in bytes, but for a listening socket
    `receive_queue` counts the connections that wait to be accepted and `send_queue` is its backlog. For Unix
    sockets only: `peer_inode` of the other end, and the file that a bound one has: its device, and the low 32
    bits of its inode number (the kernel tells no more).
    """

    state: str
    uid: int
    receive_queue: int
    send_queue: int
    peer_inode: int | None = None
    bound_device: int | None = None
    bound_inode_low: int | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why there are no details: a phrase to show."""

    reason: str


def socket_details(fd: int) -> SocketDetails | Unavailable:
    """Ask sock_diag about a socket. Raises OSError (EBADF, ENOTSOCK) where `fd` is none.

    A socket of another network namespace is looked up there, by a thread that enters it and then ends.
    """
    family = syscalls.socket_option(fd, socket.SO_DOMAIN)
    if family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        return Unavailable("the kernel keeps no details about sockets of this family")
    try:
        return bounded_call.ask_about(fd, lambda copy: _details(copy, family), _PATIENCE_SECONDS)
    except TimeoutError as error:
        return Unavailable(str(error))


def _details(fd: int, family: int) -> SocketDetails | Unavailable:
    ask = _ask_unix if family == socket.AF_UNIX else _ask_inet
    if _is_of_our_network(fd):
        return ask(fd, family)
    try:
        network = fcntl.ioctl(fd, _SIOCGSKNS)
    except PermissionError:
        return Unavailable("it belongs to another network namespace: seeing it takes CAP_NET_ADMIN there")
    try:
        return _in_network(network, lambda: ask(fd, family))
    except PermissionError:
        return Unavailable("it belongs to another network namespace: entering it takes CAP_SYS_ADMIN there")
    finally:
        os.close(network)


def _is_of_our_network(fd: int) -> bool:
    with socket.socket(socket.AF_UNIX) as ours:
        cookie = syscalls.socket_option(ours.fileno(), _SO_NETNS_COOKIE)
    return cookie == syscalls.socket_option(fd, _SO_NETNS_COOKIE)


def _in_network(network: int, ask: Callable[[], SocketDetails | Unavailable]) -> SocketDetails | Unavailable:
    """Ask from inside another network namespace. The thread that entered it is good for nothing else."""
    outcome: list[SocketDetails | Unavailable | OSError] = []

    def enter_and_ask() -> None:
        try:
            syscalls.setns(network, syscalls.CLONE_NEWNET)
            outcome.append(ask())
        except OSError as error:
            outcome.append(error)

    visitor = threading.Thread(target=enter_and_ask, name="namespace visitor", daemon=True)
    visitor.start()
    visitor.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def _ask_unix(fd: int, _family: int) -> SocketDetails | Unavailable:
    from pyroute2.netlink import diag  # type: ignore[import-untyped]

    request = diag.unix_diag_req()
    request["udiag_states"] = _EVERY_STATE
    request["udiag_show"] = _UNIX_SHOW_VFS_PEER_QUEUES
    request["udiag_ino"] = syscalls.statx_cached(fd).ino
    request["udiag_cookie"] = syscalls.socket_option(fd, _SO_COOKIE)
    request["sdiag_family"] = socket.AF_UNIX
    for message in _answers(request, diag.unix_diag_msg, 0):
        return _unix_details(fd, message)
    return _not_listed()


def _unix_details(fd: int, message: Any) -> SocketDetails:
    queues = message.get_attr("UNIX_DIAG_RQLEN") or {"udiag_rqueue": 0, "udiag_wqueue": 0}
    file = message.get_attr("UNIX_DIAG_VFS")
    return SocketDetails(
        state=_STATES.get(message["udiag_state"], "unknown"),
        uid=syscalls.statx_cached(fd).uid,
        receive_queue=queues["udiag_rqueue"],
        send_queue=queues["udiag_wqueue"],
        peer_inode=message.get_attr("UNIX_DIAG_PEER"),
        bound_device=None if file is None else _device(file["udiag_vfs_dev"]),
        bound_inode_low=None if file is None else file["udiag_vfs_ino"],
    )


def _device(kernel_device: int) -> int:
    """The kernel's own form of a device number (20 bits of minor), as stat(2) has it."""
    return os.makedev(kernel_device >> 20, kernel_device & 0xFFFFF)


def _ask_inet(fd: int, family: int) -> SocketDetails | Unavailable:
    from pyroute2.netlink import diag

    protocol = syscalls.socket_option(fd, socket.SO_PROTOCOL)
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return Unavailable("the kernel keeps no details about sockets of this protocol")
    request = diag.inet_diag_req()
    request["sdiag_family"] = family
    request["sdiag_protocol"] = protocol
    request["idiag_states"] = _EVERY_STATE
    request["idiag_sport"] = internet_name(fd).port
    cookie = syscalls.socket_option(fd, _SO_COOKIE)
    for message in _answers(request, diag.inet_diag_msg, _NLM_F_DUMP):
        if message["idiag_cookie"] == cookie:
            return _inet_details(fd, message)
    return _not_listed()


def _inet_details(fd: int, message: Any) -> SocketDetails:
    return SocketDetails(
        state=_STATES.get(message["idiag_state"], "unknown"),
        uid=syscalls.statx_cached(fd).uid,
        receive_queue=message["idiag_rqueue"],
        send_queue=message["idiag_wqueue"],
    )


def _not_listed() -> Unavailable:
    return Unavailable("the kernel doesn't list it: it is neither bound nor connected")


def _answers(request: Any, kind_of_answer: Any, flags: int) -> Iterator[Any]:
    """Send one request, and decode what comes back.

    With pyroute2's messages but not with its socket, which takes an error for an answer about AF_INET: both
    are number 2.
    """
    request["header"]["type"] = _SOCK_DIAG_BY_FAMILY
    request["header"]["flags"] = _NLM_F_REQUEST | flags
    request.encode()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.send(request.data)
        yield from _received(netlink, kind_of_answer, is_dump=bool(flags))


def _received(netlink: socket.socket, kind_of_answer: Any, *, is_dump: bool) -> Iterator[Any]:
    while True:
        for kind, raw in _messages(netlink.recv(_LARGEST_ANSWER)):
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                _raise_unless_absent(raw)
                return
            answer = kind_of_answer(raw)
            answer.decode()
            yield answer
            if not is_dump:
                return


def _messages(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a packet of netlink messages: each begins with its length and its type, aligned to four bytes."""
    offset = 0
    while offset < len(packet):
        length = int.from_bytes(packet[offset : offset + 4], "little")
        kind = int.from_bytes(packet[offset + 4 : offset + 6], "little")
        yield kind, packet[offset : offset + length]
        offset += (length + 3) & ~3


def _raise_unless_absent(raw: bytes) -> None:
    code = -int.from_bytes(raw[16:20], "little", signed=True)
    if code not in (0, errno.ENOENT):
        raise OSError(code, f"cannot ask the kernel about a socket: {os.strerror(code).lower()}")
