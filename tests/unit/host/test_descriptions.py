"""describe(): what a person recognises, on one line."""

import fcntl
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.host import procfs, syscalls
from fdstorefs.host.description import describe, readable_size, safe_line
from fdstorefs.host.file_kind import classify
from tests.unit.host.conftest import Keep

_F_ADD_SEALS = 1033


def _described(fd: int) -> str:
    return describe(fd, classify(fd))


def test_tcp_sockets() -> None:
    """A listener, both ends of a connection, and a socket that is none yet."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
        socket.socket() as fresh,
    ):
        port, client_port = server.getsockname()[1], client.getsockname()[1]

        assert _described(server.fileno()) == f"tcp 127.0.0.1:{port} listening"
        assert _described(client.fileno()) == f"tcp 127.0.0.1:{client_port} -> 127.0.0.1:{port} connected"
        assert _described(accepted.fileno()) == f"tcp 127.0.0.1:{port} -> 127.0.0.1:{client_port} connected"
        assert _described(fresh.fileno()) == "tcp not bound"


def test_udp_sockets() -> None:
    """Bound, with IPv6 addresses in brackets, and not bound."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        assert _described(udp.fileno()) == "udp not bound"
        udp.bind(("::1", 0))

        assert _described(udp.fileno()) == f"udp [::1]:{udp.getsockname()[1]}"


def test_unix_sockets(tmp_path: Path) -> None:
    """By path, abstract, in pairs, and who is connected to whom."""
    path = f"{tmp_path}/s"
    left, right = socket.socketpair()
    with (
        left,
        right,
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX) as client,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract,
    ):
        assert _described(server.fileno()) == "unix stream not bound"
        server.bind(path)
        server.listen()
        client.connect(path)
        abstract.bind(b"\0fdstorefs test %d" % os.getpid())
        with server.accept()[0] as accepted:
            assert _described(accepted.fileno()) == f"unix {path} connected"

        assert _described(server.fileno()) == f"unix {path} listening"
        assert _described(client.fileno()) == f"unix -> {path} connected"
        assert _described(abstract.fileno()) == f"unix dgram @fdstorefs test {os.getpid()}"
        assert _described(left.fileno()) == "unix stream pair"


def test_other_sockets() -> None:
    """Netlink by its protocol."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        assert _described(route.fileno()) == "netlink route"


def test_memory(keep: Keep) -> None:
    """A memfd with its name, its size, and its seals."""
    fd = keep(os.memfd_create("cache", os.MFD_ALLOW_SEALING))
    os.ftruncate(fd, 4 << 20)
    unsealed = _described(fd)
    fcntl.fcntl(fd, _F_ADD_SEALS, 0x8 | 0x4)

    assert unsealed == "memfd:cache 4.0 MiB"
    assert _described(fd) == "memfd:cache 4.0 MiB sealed (write, grow)"


def test_files(tmp_path: Path, keep: Keep) -> None:
    """Path and access; what was deleted says so."""
    (tmp_path / "f").write_text("")
    (tmp_path / "l").symlink_to("f")
    os.mkfifo(tmp_path / "p")
    gone = keep(os.open(tmp_path / "gone", os.O_RDWR | os.O_CREAT))
    (tmp_path / "gone").unlink()
    rows = {
        ("f", os.O_RDONLY): f"{tmp_path}/f (read)",
        ("f", os.O_RDWR): f"{tmp_path}/f (read and write)",
        ("f", os.O_PATH): f"{tmp_path}/f (path only)",
        ("l", os.O_PATH | os.O_NOFOLLOW): f"{tmp_path}/l symbolic link",
        ("p", os.O_RDWR): f"{tmp_path}/p fifo (both ends)",
        (".", os.O_RDONLY): f"{tmp_path} directory",
        (".", os.O_PATH): f"{tmp_path} directory (path only)",
    }

    assert _described(gone) == f"deleted file {tmp_path}/gone (read and write)"
    for (name, flags), expected in rows.items():
        assert _described(keep(os.open(tmp_path / name, flags))) == expected


def test_a_name_that_ends_like_a_deleted_one(tmp_path: Path, keep: Keep) -> None:
    """A file that is called `x (deleted)` and is there isn't said to be deleted."""
    fd = keep(os.open(tmp_path / "x (deleted)", os.O_RDWR | os.O_CREAT))

    assert _described(fd) == f"{tmp_path}/x (deleted) (read and write)"


SPECIAL: dict[str, tuple[Callable[[], int], str]] = {
    "eventfd": (lambda: os.eventfd(3), "eventfd 3"),
    "pidfd": (lambda: syscalls.pidfd_open(os.getpid()), "pidfd of {pid}"),
    "namespace": (lambda: procfs.open_namespace("net"), "net namespace {net}"),
    "device": (lambda: os.open("/dev/null", os.O_RDWR), "/dev/null"),
    "device by path": (lambda: os.open("/dev/null", os.O_PATH), "/dev/null (path only)"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_files(name: str, keep: Keep) -> None:
    """Each says what tells it from the others of its kind."""
    make, template = SPECIAL[name]
    expected = template.format(pid=os.getpid(), net=os.stat("/proc/self/ns/net").st_ino)

    assert _described(keep(make())) == expected


def test_pipes(keep: Keep) -> None:
    """Which end of a pipe it is."""
    reader, writer = map(keep, os.pipe())

    assert _described(reader) == "pipe (read end)"
    assert _described(writer) == "pipe (write end)"


def test_epoll() -> None:
    """An epoll set is named and not looked into: its lock may be held for ever."""
    with select.epoll() as epoll:
        assert _described(epoll.fileno()) == "epoll"


def test_an_ended_process(keep: Keep) -> None:
    """A pidfd outlives its process, and then says so."""
    child = subprocess.Popen(["true"])
    pidfd = keep(syscalls.pidfd_open(child.pid))
    child.wait()

    assert _described(pidfd) == "pidfd of an ended process"


def test_what_was_opened_by_path_only_cannot_be_asked(keep: Keep) -> None:
    """An O_PATH copy of a socket or memfd is no socket and no memfd to ask."""
    for fd in (keep(socket.socket().detach()), keep(os.memfd_create("m"))):
        path_only = keep(os.open(f"/proc/self/fd/{fd}", os.O_PATH))

        assert _described(path_only) == f"{classify(fd).kind} (path only)"


def test_names_cannot_break_the_line(tmp_path: Path, keep: Keep) -> None:
    """Newlines, terminal escapes, text that runs backwards and bytes that are no text come out escaped."""
    nasty = os.fsencode(tmp_path) + b"/a\nb\x1b[31m\xff\xe2\x80\xae\\x"
    fd = keep(os.open(nasty, os.O_RDWR | os.O_CREAT))

    assert _described(fd) == rf"{tmp_path}/a\nb\x1b[31m\xff\u202e\\x (read and write)"


def test_abstract_names_cannot_break_the_line() -> None:
    """The same for what a socket is bound to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(b"\0%d\n\0" % os.getpid())

        assert _described(abstract.fileno()) == rf"unix dgram @{os.getpid()}\n\x00"


def test_escaped_text_is_not_ambiguous() -> None:
    """A backslash in a name isn't taken for an escape."""
    assert safe_line("a\nb") != safe_line(r"a\nb")
    assert safe_line("café ☃") == "café ☃"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (4 << 20, "4.0 MiB"), (3 << 61, "6.0 EiB")],
)
def test_sizes(size: int, text: str) -> None:
    """Sizes as people write them."""
    assert readable_size(size) == text


def test_a_socket_of_another_network_namespace(root: None, keep: Keep) -> None:
    """Only the descriptor is asked, so it doesn't matter where the socket lives."""
    fd, port = keep_foreign_listener(keep)

    assert _described(fd) == f"tcp 127.0.0.1:{port} listening"


_LISTEN_ELSEWHERE = """
import os, socket, sys
from fdstorefs.host import syscalls
syscalls.unshare(syscalls.CLONE_NEWNET)
os.system("ip link set lo up")
server = socket.create_server(("127.0.0.1", 0), backlog=7)
port = str(server.getsockname()[1]).encode()
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [port], [server.fileno()])
"""


def keep_foreign_listener(keep: Keep) -> tuple[int, int]:
    """A listening TCP socket, backlog 7, of a network namespace that nobody else has; and its port."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", _LISTEN_ELSEWHERE, str(theirs.fileno())]
        subprocess.run(command, pass_fds=[theirs.fileno()], check=True)
        port, fds, _, _ = socket.recv_fds(ours, 8, 1)
    return keep(fds[0]), int(port)
