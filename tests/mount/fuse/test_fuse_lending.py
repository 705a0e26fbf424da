"""The server reads and writes with its own credentials; it lends them to nobody who has fewer."""

import errno
import os
import socket
from collections.abc import Callable

import pytest

from tests.mount.fuse.mounted_store import MountedStore

ErrnoOf = Callable[..., int]
NOBODY = 65534

USE = (
    "import errno, os, sys\n"
    "flags = int(sys.argv[2])\n"
    "try: handle = os.open(sys.argv[1] + '/x', flags)\n"
    "except OSError as error: print('open', errno.errorcode[error.errno])\n"
    "else:\n"
    "    try: print('read', os.read(handle, 4) if flags != os.O_WRONLY else os.write(handle, b'x'))\n"
    "    except OSError as error: print('read', errno.errorcode[error.errno])\n"
)
"""A client that opens `x` and reads or writes it, and says how far it came."""


def use_as_stranger(store: MountedStore, flags: int = os.O_RDONLY) -> str:
    """How far a user without privileges comes, to whom the mode bits allow all."""
    return store.run(USE, flags, user=NOBODY, group=NOBODY, extra_groups=[])


def test_files_that_ask_for_nobodys_credentials_are_open_to_all(
    store: MountedStore, pipe: tuple[int, int], tmp_path: object
) -> None:
    """Pipes, memfds, eventfds, files on a disk, and sockets of the internet."""
    server = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(server.getsockname())
    theirs, _ = server.accept()
    ours.send(b"data")
    os.write(pipe[1], b"data")
    file = store.keep(os.open(f"{tmp_path}/file", os.O_RDWR | os.O_CREAT))
    os.write(file, b"data")
    os.lseek(file, 0, os.SEEK_SET)
    counter = store.keep(os.eventfd(1))
    said = []
    for descriptor in (pipe[0], store.memfd(b"data"), file, theirs.fileno(), counter):
        store.stash("x", descriptor, mode=0o666)
        said.append(use_as_stranger(store))
    for end in (server, ours, theirs):
        end.close()

    assert [*["read b'data'"] * 4, "read EINVAL"] == said


@pytest.mark.parametrize(
    "path", ["/proc/self/status", "/sys/kernel/uevent_seqnum", "/dev/null", "/proc/sys/kernel/hostname"]
)
def test_files_of_the_kernel_only_for_equals(store: MountedStore, path: str) -> None:
    """Opened by root, they would let root act for whoever writes: EPERM at open. root may."""
    store.stash("x", store.keep(os.open(path, os.O_RDONLY)), mode=0o666)

    assert "open EPERM" == use_as_stranger(store)
    assert store.run(USE, os.O_RDONLY).startswith("read b'")


def test_a_unix_socket_only_for_equals(store: MountedStore) -> None:
    """Its peer would be told that root writes."""
    ours, theirs = socket.socketpair()
    store.stash("x", theirs.fileno(), mode=0o666)
    ours.send(b"data")
    stranger, root = use_as_stranger(store, os.O_RDWR), store.run(USE, os.O_RDWR)
    ours.close()
    theirs.close()

    assert ("open EPERM", "read b'data'") == (stranger, root)


def test_a_handle_of_an_equal_is_of_no_use_to_others(store: MountedStore) -> None:
    """Who inherits it, or gave up what made him equal, is refused at each read."""
    store.stash("x", store.keep(os.open("/proc/self/status", os.O_RDONLY)))
    said = store.run(
        "import os, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
        "print(os.read(handle, 4))\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: os.read(handle, 4)\n"
        "except OSError as error: print(error.errno)\n"
    )

    assert f"b'Name'\n{errno.EPERM}" == said


def test_capabilities_count_not_the_uid_alone(store: MountedStore) -> None:
    """root without its capabilities is not the server's equal."""
    store.stash("x", store.keep(os.open("/proc/self/status", os.O_RDONLY)))
    said = store.run(
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "header = (ctypes.c_uint32 * 2)(0x20080522, 0)\n"
        "assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0\n"
        "try: os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
        "except OSError as error: print(error.errno)\n"
    )

    assert str(errno.EPERM) == said


@pytest.mark.parametrize("kind", ["directory", "path", "epoll", "pidfd", "signalfd"])
def test_what_has_no_meaning_through_a_handle(store: MountedStore, errno_of: ErrnoOf, kind: str) -> None:
    """EOPNOTSUPP, for root too: it must be retrieved."""
    make: dict[str, Callable[[], int]] = {
        "directory": lambda: os.open("/", os.O_RDONLY),
        "path": lambda: os.open("/", os.O_PATH),
        "epoll": make_epoll,
        "pidfd": lambda: os.pidfd_open(os.getpid()),
        "signalfd": make_signalfd,
    }
    store.stash("x", store.keep(make[kind]()))

    assert errno.EOPNOTSUPP == errno_of(store.opened, "x")


def make_epoll() -> int:
    """An epoll descriptor that stays."""
    import select

    with select.epoll() as poller:
        return os.dup(poller.fileno())


def make_signalfd() -> int:
    """A signalfd for no signal."""
    import ctypes

    return ctypes.CDLL(None).signalfd(-1, ctypes.create_string_buffer(128), 0)
