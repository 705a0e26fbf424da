"""socket_details(): what sock_diag tells, here and in other network namespaces."""

import os
import socket
from pathlib import Path

import pytest

from fdstorefs.host.sockets import SocketDetails, Unavailable, socket_details
from tests.unit.host.conftest import Keep
from tests.unit.host.test_descriptions import keep_foreign_listener


def _details(fd: int) -> SocketDetails:
    details = socket_details(fd)
    assert isinstance(details, SocketDetails), details
    return details


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_tcp_listener_shows_who_waits_and_its_backlog(family: int, host: str) -> None:
    """State, connections not yet accepted, backlog, owner."""
    with (
        socket.create_server((host, 0), family=family, backlog=5) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        details = _details(server.fileno())

    assert details == SocketDetails("listening", os.geteuid(), 1, 5)


def test_an_established_connection_shows_what_waits_to_be_read() -> None:
    """Five bytes sent and not read."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        client.sendall(b"hello")
        accepted.recv(1, socket.MSG_PEEK)
        details = _details(accepted.fileno())

    assert (details.state, details.receive_queue) == ("established", 5)


def test_a_bound_udp_socket() -> None:
    """Bound and without a peer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))

        assert _details(udp.fileno()).state == "unconnected"


def test_a_unix_pair_shows_its_peer() -> None:
    """Each end names the inode of the other."""
    left, right = socket.socketpair()
    with left, right:
        details = _details(left.fileno())

        assert details.state == "established"
        assert details.peer_inode == os.fstat(right.fileno()).st_ino


def test_a_unix_listener_shows_its_file(tmp_path: Path) -> None:
    """Device and inode (its low half) of the file it is bound to."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(3)
        details = _details(server.fileno())
    truth = os.stat(tmp_path / "s")

    assert (details.state, details.send_queue) == ("listening", 3)
    assert details.bound_device == truth.st_dev
    assert details.bound_inode_low == truth.st_ino & 0xFFFF_FFFF


def test_a_socket_of_another_network_namespace_is_looked_up_there(root: None, keep: Keep) -> None:
    """The look-up enters the socket's namespace, and this thread stays where it is."""
    fd, _ = keep_foreign_listener(keep)
    before = os.readlink("/proc/thread-self/ns/net")

    assert _details(fd) == SocketDetails("listening", 0, 0, 7)
    assert os.readlink("/proc/thread-self/ns/net") == before


@pytest.mark.parametrize(
    ("family", "kind", "reason"),
    [
        (socket.AF_NETLINK, socket.SOCK_RAW, "family"),
        (socket.AF_INET, socket.SOCK_STREAM, "neither bound nor connected"),
    ],
)
def test_what_there_are_no_details_of_says_why(family: int, kind: int, reason: str) -> None:
    """Without an answer there is a reason to show."""
    with socket.socket(family, kind) as unknown:
        details = socket_details(unknown.fileno())

    assert isinstance(details, Unavailable)
    assert reason in details.reason


def test_without_privilege_another_namespace_is_a_reason_too(root: None, keep: Keep) -> None:
    """Who may not enter the namespace is told so."""
    fd, _ = keep_foreign_listener(keep)
    os.seteuid(1)
    try:
        details = socket_details(fd)
    finally:
        os.seteuid(0)

    assert details == Unavailable(
        "it belongs to another network namespace: seeing it takes CAP_NET_ADMIN there"
    )


def test_a_file_is_no_socket(keep: Keep) -> None:
    """Asking about anything else is an error."""
    with pytest.raises(OSError, match="socket operation on non-socket"):
        socket_details(keep(os.eventfd(0)))
