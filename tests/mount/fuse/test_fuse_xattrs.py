"""Extended attributes: what is inside an entry, seen without retrieving it; labels."""

import errno
import json
import os
from collections.abc import Callable
from unittest.mock import ANY

from tests.mount.fuse.mounted_store import STASHING, MountedStore

ErrnoOf = Callable[..., int]
NOBODY = 65534


def xattrs(store: MountedStore, name: str) -> dict[str, bytes]:
    """All attributes that there are."""
    path = store.path(name)
    return {one.removeprefix("user.fdstorefs."): os.getxattr(path, one) for one in os.listxattr(path)}


def test_an_empty_entry_is_empty(store: MountedStore) -> None:
    """It has a kind and who made it, and goes on hang-up."""
    store.close(store.opened("x", STASHING))

    assert {"kind": b"empty", "stasher": ANY, "poll": b"1"} == xattrs(store, "x")


def test_a_box_is_a_box(store: MountedStore) -> None:
    """So is the root."""
    os.mkdir(store.path("box"))

    assert [{"kind": b"box"}] * 2 == [xattrs(store, "box"), xattrs(store, "")]


def test_a_full_entry_tells_what_is_inside_and_who_stashed_it(
    store: MountedStore, pipe: tuple[int, int]
) -> None:
    """Kind, description, stasher."""
    store.stash("x", pipe[0])
    shown = xattrs(store, "x")
    stasher = json.loads(shown["stasher"])

    assert (b"pipe", os.getpid(), os.getuid(), os.getgid()) == (
        shown["kind"],
        stasher["pid"],
        stasher["uid"],
        stasher["gid"],
    )
    assert b"pipe" in shown["info"]


def test_a_label_is_text_that_its_owner_sets_and_removes(store: MountedStore, errno_of: ErrnoOf) -> None:
    """ENODATA while there is none; EINVAL for what is not UTF-8."""
    store.close(store.opened("x", STASHING))
    path, label = store.path("x"), "user.fdstorefs.label"
    before = errno_of(os.getxattr, path, label)
    os.setxattr(path, label, "für später".encode())
    during = os.getxattr(path, label).decode()
    os.removexattr(path, label)
    after = [errno_of(os.getxattr, path, label), errno_of(os.removexattr, path, label)]

    assert (errno.ENODATA, "für später", [errno.ENODATA] * 2) == (before, during, after)
    assert errno.EINVAL == errno_of(os.setxattr, path, label, b"\xff")


def test_what_cannot_be_read_or_set(store: MountedStore, errno_of: ErrnoOf) -> None:
    """Unknown ones are ENODATA to read; set, each is refused for its reason."""
    store.close(store.opened("x", STASHING))
    path = store.path("x")
    reads = [
        errno_of(os.getxattr, path, name) for name in ("user.other", "user.fdstorefs.pins", "security.x")
    ]
    writes = {
        "user.fdstorefs.kind": errno.EPERM,
        "user.fdstorefs.nonsense": errno.EINVAL,
        "user.other": errno.EOPNOTSUPP,
    }

    assert [errno.ENODATA] * 3 == reads
    assert writes == {name: errno_of(os.setxattr, path, name, b"x") for name in writes}
    assert errno.EISDIR == errno_of(os.setxattr, store.root, "user.fdstorefs.fd", b"0")
    assert errno.EPERM == errno_of(os.removexattr, path, "user.fdstorefs.kind")


def test_a_stranger_learns_the_kind_and_no_more(store: MountedStore, pipe: tuple[int, int]) -> None:
    """What is inside is for whoever may describe the entry."""
    store.stash("x", pipe[0], mode=0o600)
    said = store.run(
        "import os, sys\n"
        "path = sys.argv[1] + '/x'\n"
        "print(os.listxattr(path))\n"
        "for name in ('info', 'stasher', 'label'):\n"
        "    try: os.getxattr(path, 'user.fdstorefs.' + name)\n"
        "    except OSError as error: print(error.errno)\n"
        "try: os.setxattr(path, 'user.fdstorefs.label', b'x')\n"
        "except OSError as error: print(error.errno)\n"
        "try: os.setxattr(path, 'user.fdstorefs.fd', b'0')\n"
        "except OSError as error: print(error.errno)\n",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )

    assert [
        "['user.fdstorefs.kind']",
        *[str(errno.EACCES)] * 3,
        str(errno.EPERM),
        str(errno.EACCES),
    ] == said.splitlines()
