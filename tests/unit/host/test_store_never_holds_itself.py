"""RecursionGuard: ELOOP for whatever is a store, or leads into one."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fdstorefs.host import bounded_call, procfs, syscalls
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.file_kind import classify
from fdstorefs.host.recursion import INODE_PREFIX, INODE_PREFIX_SHIFT, RecursionGuard
from tests.unit.host.conftest import Keep
from tests.unit.host.hostile_fuse import hostile_mount
from tests.unit.host.waiting import wait_until

_FIRST_INODE = INODE_PREFIX << INODE_PREFIX_SHIFT


@contextmanager
def refused(reason: str = "store") -> Iterator[None]:
    """The block ends in ELOOP."""
    with pytest.raises(OSError, match=reason) as caught:
        yield
    assert caught.value.errno == errno.ELOOP


def _check(fd: int, guard: RecursionGuard | None = None) -> None:
    (guard or RecursionGuard(None, os.getpid())).check(fd, classify(fd))


@pytest.fixture
def store_file(keep: Keep, fuse_device: None, tmp_path: Path) -> Iterator[Path]:
    """A file of some instance that our mount table shows."""
    mounted = hostile_mount(tmp_path / "store", "fuse.fdstorefs", _FIRST_INODE, answers_flush=True)
    with mounted as path:
        yield path


def test_ordinary_files_pass(tmp_path: Path, keep: Keep) -> None:
    """Files, pipes, sockets that have nothing to do with a store."""
    left, right = socket.socketpair()
    with left, right, socket.socket() as tcp:
        for fd in (
            keep(os.open(tmp_path, os.O_RDONLY)),
            keep(os.eventfd(0)),
            left.fileno(),
            tcp.fileno(),
        ):
            _check(fd)


def test_a_file_of_this_instance(tmp_path: Path, keep: Keep) -> None:
    """By device, so through every bind mount and with O_PATH as well."""
    fd = keep(os.open(tmp_path, os.O_PATH))

    with refused("this very store"):
        _check(fd, RecursionGuard(os.stat(tmp_path).st_dev, os.getpid()))


def test_a_file_of_another_instance(store_file: Path, keep: Keep) -> None:
    """By file system type, for its file and for its root."""
    with refused("another store"):
        _check(keep(os.open(store_file, os.O_RDONLY)))
    with refused("another store"):
        _check(keep(os.open(store_file.parent, os.O_PATH)))


def test_a_bind_mount_of_another_instance(store_file: Path, tmp_path: Path, keep: Keep) -> None:
    """A bind mount doesn't hide it."""
    bound = tmp_path / "bound"
    bound.mkdir()
    syscalls.mount(store_file.parent, bound, None, syscalls.MS_BIND)
    try:
        with refused("another store"):
            _check(keep(os.open(bound / "file", os.O_RDONLY)))
    finally:
        syscalls.umount2(bound, syscalls.MNT_DETACH)


def test_a_detached_mount_of_another_instance(fuse_device: None, tmp_path: Path, keep: Keep) -> None:
    """A mount that no table shows any more is told by the prefix of its inode numbers."""
    mounted = hostile_mount(tmp_path / "s", "fuse.fdstorefs", _FIRST_INODE, answers_flush=True)
    with mounted as path:
        fd = keep(os.open(path, os.O_RDONLY))
        syscalls.umount2(path.parent, syscalls.MNT_DETACH)

        assert classify(fd).filesystem is None
        with refused("another store"):
            _check(fd)


def test_the_prefix_alone_is_no_proof(keep: Keep) -> None:
    """On a disk, or where the mount table names another file system, an inode number may have any bits."""
    facts = replace(classify(keep(os.open("/", os.O_RDONLY))), ino=_FIRST_INODE | 7)
    guard = RecursionGuard(None, os.getpid())

    guard.check(0, replace(facts, filesystem="tmpfs", dev=os.makedev(0, 99)))
    guard.check(0, replace(facts, filesystem="fuse.sshfs", dev=os.makedev(0, 99)))
    guard.check(0, replace(facts, filesystem=None, dev=os.makedev(8, 1)))
    with refused():
        guard.check(0, replace(facts, filesystem=None, dev=os.makedev(0, 99)))


def test_the_sockets_of_a_store(tmp_path: Path) -> None:
    """Its listening socket, an accepted connection, and a client's end of it."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / ".fdstore"))
        server.listen()
        client.connect(str(tmp_path / ".fdstore"))
        with server.accept()[0] as accepted:
            for end in (server, client, accepted):
                with refused("a socket of this very store"):
                    _check(end.fileno())
            with refused("a socket of a store"):
                _check(client.fileno(), RecursionGuard(None, server_pid=1))


def test_a_socket_that_talks_to_the_notify_socket(tmp_path: Path) -> None:
    """The datagram socket, and one connected to it."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service,
    ):
        notify.bind(str(tmp_path / ".notify"))
        service.connect(str(tmp_path / ".notify"))
        for end in (notify, service):
            with refused():
                _check(end.fileno())


def test_this_servers_own_sockets_by_inode() -> None:
    """The server knows its sockets' inode numbers: no name is needed."""
    guard = RecursionGuard(None, os.getpid())
    left, right = socket.socketpair()
    with left, right:
        guard.own_sockets.add(os.fstat(left.fileno()).st_ino)

        _check(right.fileno(), guard)
        with refused("own sockets"):
            _check(left.fileno(), guard)


def test_a_socket_that_carries_a_file_of_a_store(store_file: Path, keep: Keep) -> None:
    """A Unix socket with such a descriptor in its queue; the message is still there afterwards."""
    fd = keep(os.open(store_file, os.O_RDONLY))
    left, right = socket.socketpair()
    with left, right:
        socket.send_fds(left, [b"message"], [0, fd])

        with refused("another store"):
            _check(right.fileno())
        message, fds, _, _ = socket.recv_fds(right, 100, 10)
        os.closerange(fds[0], fds[0] + 1)
        os.closerange(fds[1], fds[1] + 1)
        assert (message, len(fds)) == (b"message", 2)


def test_a_socket_in_a_socket(store_file: Path, keep: Keep) -> None:
    """A socket that carries a socket that carries a file of a store."""
    fd = keep(os.open(store_file, os.O_RDONLY))
    (inner_left, inner_right), (left, right) = socket.socketpair(), socket.socketpair()
    with inner_left, inner_right, left, right:
        socket.send_fds(inner_left, [b"x"], [fd])
        socket.send_fds(left, [b"x"], [inner_right.fileno()])

        with refused("another store"):
            _check(right.fileno())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_looking_leaves_nothing_open(kind: int, keep: Keep) -> None:
    """A socket that carries harmless descriptors passes, keeps them, and no copy stays with us."""
    descriptors = Descriptors()
    guard = RecursionGuard(None, os.getpid(), descriptors)
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    with left, right:
        carried, spare = map(keep, os.pipe())
        socket.send_fds(left, [b"x"], [carried] * 100)
        for _ in range(5):
            _check(right.fileno(), guard)

        assert descriptors.drain(10) == 0
        wait_until(lambda: _open_copies(os.readlink(f"/proc/self/fd/{spare}")) == 2)
        assert procfs.fdinfo_field(procfs.fdinfo(right.fileno()), "scm_fds") == "100"


def _open_copies(link: str) -> int:
    numbers = os.listdir("/proc/self/fd")
    return sum(_link_or_nothing(number) == link for number in numbers)


def _link_or_nothing(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return ""


def test_a_socket_whose_peeks_move_on_is_left_alone() -> None:
    """With SO_PEEK_OFF set, a look would shift what its owner sees next: the socket is accepted unseen."""
    peek_offset = 42
    left, right = socket.socketpair()
    with left, right:
        right.setsockopt(socket.SOL_SOCKET, peek_offset, 0)
        socket.send_fds(left, [b"xy"], [0])
        _check(right.fileno())

        assert right.recv(2, socket.MSG_PEEK) == b"xy"
        assert right.getsockopt(socket.SOL_SOCKET, peek_offset) == 2


def test_a_listening_socket_passes(tmp_path: Path) -> None:
    """Connections that wait to be accepted may carry descriptors; they can't be looked into."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        socket.send_fds(client, [b"x"], [0])

        _check(server.fileno())


def test_nobody_makes_everybody_wait_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a socket of one user was waited for in vain others of his are not, for a while; another user's are."""
    waited: list[int] = []

    def wait_in_vain(fd: int, _question: object, _seconds: float) -> None:
        waited.append(fd)
        raise TimeoutError

    monkeypatch.setattr(bounded_call, "ask_about", wait_in_vain)
    guard = RecursionGuard(None, os.getpid())
    left, right = socket.socketpair()
    with left, right:
        socket.send_fds(left, [b"x"], [0])
        facts = classify(right.fileno())
        for sender in (1, 1, 1, 2):
            guard.check(right.fileno(), facts, sender)

        assert [right.fileno()] * 2 == waited
