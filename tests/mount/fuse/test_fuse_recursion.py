"""A store cannot be put into itself or another one: ELOOP, whatever way it came."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.host import syscalls
from tests.mount.fuse.mounted_store import STASHING, MountedStore

ErrnoOf = Callable[..., int]


@pytest.fixture
def elsewhere(store: MountedStore) -> Iterator[str]:
    """The mount's root, seen through a bind mount."""
    with tempfile.TemporaryDirectory() as directory:
        syscalls.mount(store.root, directory, None, syscalls.MS_BIND)
        yield directory
        syscalls.umount2(directory, syscalls.MNT_DETACH)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_the_root_of_the_store(store: MountedStore, errno_of: ErrnoOf, flags: int) -> None:
    """Open or merely named."""
    root = store.keep(os.open(store.root, flags))

    assert errno.ELOOP == errno_of(store.stash, "x", root)


def test_a_handle_of_the_store(store: MountedStore, errno_of: ErrnoOf) -> None:
    """The very handle that is written to, one on a stored file, and an O_PATH descriptor of an entry."""
    store.stash("full", store.memfd(b"x"))
    stashing, reading = store.opened("x", STASHING), store.opened("full")
    named = store.opened("full", os.O_PATH)
    codes = [errno_of(os.write, stashing, b"%d" % handle) for handle in (stashing, reading, named)]

    assert [errno.ELOOP] * 3 == codes


def test_through_a_bind_mount(store: MountedStore, elsewhere: str, errno_of: ErrnoOf) -> None:
    """Another mount of the same file system is the same store."""
    for flags in (os.O_RDONLY, os.O_PATH):
        assert errno.ELOOP == errno_of(store.stash, "x", store.keep(os.open(elsewhere, flags)))


def test_a_file_of_another_store(
    store: MountedStore, make_store: Callable[..., MountedStore], errno_of: ErrnoOf
) -> None:
    """Two stores that hold each other would never let go."""
    other = make_store()
    other.stash("full", other.memfd(b"x"))
    codes = [
        errno_of(store.stash, "x", other.opened("full")),
        errno_of(store.stash, "x", other.keep(os.open(other.root, os.O_RDONLY))),
        errno_of(os.setxattr, store.path("x"), "user.fdstorefs.fd", b"%d" % other.opened("full")),
    ]

    assert [errno.ELOOP] * 3 == codes


def test_a_refused_file_is_let_go(store: MountedStore, errno_of: ErrnoOf) -> None:
    """The server keeps nothing of it, and doesn't wait for itself when it closes its copy."""
    store.stash("full", store.memfd(b"x"))
    assert errno.ELOOP == errno_of(store.stash, "x", store.opened("full"))
    before = store.holds()
    for _ in range(30):
        assert errno.ELOOP == errno_of(store.stash, "x", store.opened("full"))
    for handle in tuple(store.kept):
        store.close(handle)
    store.wait_until_holds(handles=0, files=1)

    assert store.holds()["descriptors"] <= before["descriptors"]
