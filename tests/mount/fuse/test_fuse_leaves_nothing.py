"""What is discarded, closed or refused is given back, to the last descriptor; the socket of the store itself."""

import errno
import os
import select
import socket
from collections.abc import Callable

from fdstorefs.host import syscalls
from tests.mount.fuse.mounted_store import STASHING, MountedStore
from tests.mount.waiting import wait_for

ErrnoOf = Callable[..., int]


def use_everything(store: MountedStore, errno_of: ErrnoOf) -> None:
    """One round of nearly all that can be done."""
    reader, writer = os.pipe()
    os.mkdir(store.path("box"))
    for name, descriptor in (("r", reader), ("box/w", writer), ("m", store.memfd(b"x"))):
        store.stash(name, descriptor)
    os.link(store.path("r"), store.path("second"))
    os.rename(store.path("second"), store.path("third"))
    reading, writing = store.opened("r", os.O_RDONLY | os.O_NONBLOCK), store.opened("box/w", os.O_WRONLY)
    with select.epoll() as poller:
        poller.register(reading, select.EPOLLIN)
        poller.poll(0)
    assert errno.EAGAIN == errno_of(os.read, reading, 1)
    os.write(writing, b"x")
    assert os.read(reading, 9) == b"x"
    store.stash("m", reader)
    assert errno.EBADF == errno_of(store.stash, "m", 99999)
    for name in ("r", "box/w", "m", "third"):
        os.unlink(store.path(name))
    os.rmdir(store.path("box"))
    for handle in (reading, writing):
        store.close(handle)
    os.close(reader)
    os.close(writer)


def test_the_server_ends_up_as_it_began(store: MountedStore, errno_of: ErrnoOf) -> None:
    """Descriptors, handles, stored files and inodes after ten rounds are no more than after the first.

    After the first a few may still be closing, but fewer than ten rounds would leak.
    """
    use_everything(store, errno_of)
    store.wait_until_holds(handles=0, files=0)
    before = store.holds()
    for _ in range(10):
        use_everything(store, errno_of)
    store.wait_until_holds(handles=0, files=0, nodes=before["nodes"])

    wait_for(
        lambda: store.holds()["descriptors"] <= before["descriptors"], what="all descriptors to be closed"
    )


def test_the_kernel_forgets_what_goes_otherwise_than_through_the_mount(store: MountedStore) -> None:
    """It has looked it up, and would keep the inode for as long as it has memory; so would we."""
    before = store.holds()
    for number in range(200):
        store.stash(f"{number}", store.memfd())
        store.discard(f"{number}")
    store.wait_until_holds(files=0, nodes=before["nodes"])


def test_a_directory_that_somebody_is_in_is_not_waited_for(store: MountedStore) -> None:
    """The kernel is told by a thread: whoever creates and looks up meanwhile is answered, and so it comes to an end."""
    script = (
        "import os, sys\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "  os.close(os.open(sys.argv[1] + '/busy' + sys.argv[2], os.O_CREAT | os.O_WRONLY))\n"
        "  os.unlink(sys.argv[1] + '/busy' + sys.argv[2])\n"
    )
    for client in [store.client(script, number) for number in range(2)]:
        assert client.stdout is not None
        assert "begun\n" == client.stdout.readline()
    for number in range(100):
        store.stash(f"{number}", store.memfd())
        store.discard(f"{number}")
    wait_for(lambda: store.holds()["nodes"] < 10, what="the nodes to go")


def test_a_discarded_entry_that_the_kernel_forgets_is_forgotten(store: MountedStore) -> None:
    """Inodes go when nobody refers to them."""
    handle = store.opened("x", STASHING)
    os.unlink(store.path("x"))
    during = store.holds()["nodes"]
    store.close(handle)
    store.wait_until_holds(nodes=1)

    assert 2 == during


def test_the_store_binds_its_own_socket_and_everybody_connects(store: MountedStore) -> None:
    """Bound by the server from a thread; shown by readdir and stat; reached by any user."""
    store.bind(".fdstore")
    said = store.run(
        "import os, socket, stat, sys\n"
        "path = sys.argv[1] + '/.fdstore'\n"
        "shown = os.stat(path)\n"
        "socket.socket(socket.AF_UNIX).connect(path)\n"
        "print(os.listdir(sys.argv[1]), oct(shown.st_mode), os.listxattr(path))\n",
        user=65534,
        group=65534,
        extra_groups=[],
    )

    assert "['.fdstore'] 0o140666 []" == said


def test_nobody_else_touches_the_socket(store: MountedStore, errno_of: ErrnoOf) -> None:
    """Not root either: neither removed nor renamed, linked, replaced or changed."""
    store.bind(".fdstore")
    path = store.path(".fdstore")
    store.close(store.opened("x", STASHING))
    codes = [
        errno_of(os.unlink, path),
        errno_of(os.rename, path, store.path("y")),
        errno_of(os.rename, store.path("x"), path),
        errno_of(os.link, path, store.path("y")),
        errno_of(os.chmod, path, 0o600),
        errno_of(os.open, path, os.O_RDONLY),
        errno_of(socket.socket(socket.AF_UNIX).bind, path),
    ]

    assert [*[errno.EPERM] * 5, errno.ENXIO, errno.EADDRINUSE] == codes


def test_unmounting_ends_the_server(store: MountedStore, pipe: tuple[int, int]) -> None:
    """It notices, gives everything back and ends with success."""
    reader, writer = pipe
    store.stash("x", writer)
    os.close(writer)
    syscalls.umount2(store.root, 0)

    assert (b"", 0) == (os.read(reader, 1), store.wait())
