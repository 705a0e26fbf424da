"""Names in the mount: create, unlink, rename, link, mkdir, and what readdir and stat show of them."""

import errno
import os
import socket
import stat
from collections.abc import Callable

import pytest

from fdstorefs.core.limits import MOST_NAMES
from fdstorefs.host.recursion import INODE_PREFIX
from tests.mount.fuse.mounted_store import STASHING, MountedStore

ErrnoOf = Callable[..., int]
NOBODY = 65534


def create(store: MountedStore, name: str, mode: int = 0o600) -> None:
    """An empty entry."""
    os.close(os.open(store.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))


def test_create_makes_an_empty_entry_with_the_mode_that_umask_leaves(store: MountedStore) -> None:
    """An entry belongs to whoever makes it, is empty, and shows as a regular file of size 0."""
    former = os.umask(0o027)
    try:
        create(store, "x", 0o666)
    finally:
        os.umask(former)
    shown = os.stat(store.path("x"))

    assert (stat.S_IFREG | 0o640, os.getuid(), os.getgid(), 0, 1) == (
        shown.st_mode,
        shown.st_uid,
        shown.st_gid,
        shown.st_size,
        shown.st_nlink,
    )


def test_create_twice_is_eexist(store: MountedStore, errno_of: ErrnoOf) -> None:
    """O_EXCL finds an entry that exists."""
    create(store, "x")

    assert errno.EEXIST == errno_of(create, store, "x")


def test_create_without_excl_opens_what_is_there(store: MountedStore, pipe: tuple[int, int]) -> None:
    """O_CREAT on a full entry retrieves from it."""
    store.stash("x", pipe[0])
    os.write(pipe[1], b"data")

    assert b"data" == os.read(store.opened("x", os.O_RDONLY | os.O_CREAT), 10)


def test_names_have_255_bytes_at_most(store: MountedStore, errno_of: ErrnoOf) -> None:
    """A longer name is ENAMETOOLONG."""
    assert [0, errno.ENAMETOOLONG] == [errno_of(create, store, "x" * length) for length in (255, 256)]


def test_a_name_of_any_bytes_comes_back_as_it_was(store: MountedStore) -> None:
    """Names are bytes: what is not UTF-8 is listed and found unchanged."""
    name = b"\xff\xfe odd \n"
    os.close(os.open(store.root.encode() + b"/" + name, os.O_WRONLY | os.O_CREAT, 0o600))

    assert [name] == os.listdir(store.root.encode())


def test_the_limit_of_entries_is_edquot(make_store: Callable[..., MountedStore], errno_of: ErrnoOf) -> None:
    """Boxes and entries count alike."""
    store = make_store(2)
    create(store, "a")
    os.mkdir(store.path("box"))

    assert [errno.EDQUOT, errno.EDQUOT] == [errno_of(create, store, "b"), errno_of(os.mkdir, store.path("c"))]


def test_statfs_tells_entries_and_the_limit(make_store: Callable[..., MountedStore]) -> None:
    """df -i shows how full the store is."""
    store = make_store(10)
    create(store, "a")
    figures = os.statvfs(store.root)

    assert (10, 9, 255) == (figures.f_files, figures.f_ffree, figures.f_namemax)


def test_unlink_discards(store: MountedStore, pipe: tuple[int, int]) -> None:
    """With its last name the open file goes: the other end of the pipe learns it."""
    reader, writer = pipe
    store.stash("x", writer)
    os.close(writer)
    os.unlink(store.path("x"))

    assert b"" == os.read(reader, 1)


def test_rename_replaces_and_noreplace_is_honoured(store: MountedStore, errno_of: ErrnoOf) -> None:
    """rename(2) replaces an entry; with RENAME_NOREPLACE it is EEXIST; exchange is EINVAL."""
    create(store, "a")
    create(store, "b")
    codes = store.run(
        "import ctypes, os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for flags in (1, 2):\n"
        "    failed = libc.renameat2(-100, b'a', -100, b'b', flags)\n"
        "    print(ctypes.get_errno() if failed else 0)\n"
    )
    os.rename(store.path("a"), store.path("b"))

    assert ([str(errno.EEXIST), str(errno.EINVAL)], ["b"]) == (codes.split(), os.listdir(store.root))


def test_a_link_is_the_same_entry(store: MountedStore, pipe: tuple[int, int]) -> None:
    """A second name for the same open file: same inode, and the file stays until both names are gone."""
    store.stash("a", pipe[0])
    os.link(store.path("a"), store.path("b"))
    first, second = os.stat(store.path("a")), os.stat(store.path("b"))
    os.unlink(store.path("a"))
    os.write(pipe[1], b"still here")
    got = os.read(store.opened("b"), 20)

    assert (first.st_ino, 2, b"still here") == (second.st_ino, second.st_nlink, got)


def test_boxes_hold_entries_and_are_removed_when_empty(store: MountedStore, errno_of: ErrnoOf) -> None:
    """mkdir and rmdir; ENOTEMPTY, and the types that don't fit."""
    os.mkdir(store.path("box"), 0o750)
    create(store, "box/x")
    full = errno_of(os.rmdir, store.path("box"))
    wrong = [
        errno_of(os.unlink, store.path("box")),
        errno_of(os.rmdir, store.path("box/x")),
        errno_of(os.link, store.path("box"), store.path("second")),
        errno_of(os.stat, store.path("box/x/y")),
    ]
    os.unlink(store.path("box/x"))
    os.rmdir(store.path("box"))

    assert (errno.ENOTEMPTY, [errno.EISDIR, errno.ENOTDIR, errno.EPERM, errno.ENOTDIR]) == (full, wrong)
    assert [] == os.listdir(store.root)


def test_a_box_has_one_link_whatever_is_in_it(store: MountedStore) -> None:
    """As where nobody counts: a count would count boxes that may not be listed. It shows as a directory."""
    os.makedirs(store.path("a/b"))
    shown = os.stat(store.path("a"))

    assert (stat.S_IFDIR, 1) == (stat.S_IFMT(shown.st_mode), shown.st_nlink)


def test_nothing_but_entries_and_boxes_can_be_made(store: MountedStore, errno_of: ErrnoOf) -> None:
    """No links by path, no devices, no pipes; a plain mknod makes an empty entry."""
    os.mknod(store.path("plain"), stat.S_IFREG | 0o600)
    refused = [
        errno_of(os.symlink, "target", store.path("link")),
        errno_of(os.mkfifo, store.path("pipe")),
        errno_of(os.mknod, store.path("null"), stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        errno_of(socket.socket(socket.AF_UNIX).bind, store.path("socket")),
    ]

    assert ([errno.EPERM] * 4, ["plain"]) == (refused, os.listdir(store.root))


@pytest.mark.parametrize("name", [".fdstore", ".notify"])
def test_the_stores_own_names_are_nobodys(store: MountedStore, errno_of: ErrnoOf, name: str) -> None:
    """Nobody but the server makes, replaces or removes its sockets."""
    create(store, "x")
    own = store.path(name)
    codes = [
        errno_of(create, store, name),
        errno_of(os.mkdir, own),
        errno_of(os.link, store.path("x"), own),
        errno_of(os.rename, store.path("x"), own),
        errno_of(os.unlink, own),
        errno_of(socket.socket(socket.AF_UNIX).bind, own),
    ]

    assert [errno.EEXIST, errno.EEXIST, errno.EEXIST, errno.EPERM, errno.ENOENT, errno.EPERM] == codes


def test_chmod_and_chown_follow_the_usual_rules(store: MountedStore, errno_of: ErrnoOf) -> None:
    """root may do both; a stranger neither (EPERM)."""
    create(store, "x")
    os.chmod(store.path("x"), 0o4644)
    os.chown(store.path("x"), 1, 2)
    shown = os.stat(store.path("x"))
    codes = store.run(
        "import os, sys\n"
        "for change in (lambda p: os.chmod(p, 0o777), lambda p: os.chown(p, 65534, -1)):\n"
        "    try: change(sys.argv[1] + '/x')\n"
        "    except OSError as error: print(error.errno)\n",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )

    assert (1, 2, [str(errno.EPERM)] * 2) == (shown.st_uid, shown.st_gid, codes.split())


def test_an_entry_has_no_size_to_set_and_its_times_are_its_own(
    store: MountedStore, errno_of: ErrnoOf
) -> None:
    """truncate(2) is EINVAL; utimes succeeds without effect, so that touch and cp -p work."""
    create(store, "x")
    before = os.stat(store.path("x")).st_mtime_ns
    os.utime(store.path("x"), ns=(1, 1))

    assert (errno.EINVAL, before) == (
        errno_of(os.truncate, store.path("x"), 0),
        os.stat(store.path("x")).st_mtime_ns,
    )


def test_a_sticky_root_protects_others_entries(store: MountedStore) -> None:
    """Everybody may create in the root; nobody unlinks or opens what is another's."""
    create(store, "roots")
    codes = store.run(
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "os.close(os.open('mine', os.O_CREAT | os.O_WRONLY, 0o600))\n"
        "for call in (lambda: os.unlink('roots'), lambda: os.open('roots', os.O_RDONLY),\n"
        "             lambda: os.open('roots', os.O_WRONLY), lambda: os.rename('roots', 'b')):\n"
        "    try: call()\n"
        "    except OSError as error: print(error.errno)\n",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )

    assert [errno.EPERM, errno.EACCES, errno.EACCES, errno.EPERM] == [int(code) for code in codes.split()]


def test_supplementary_groups_count(store: MountedStore) -> None:
    """A box for a group opens to whoever has that group as a supplementary one."""
    os.mkdir(store.path("team"))
    os.chown(store.path("team"), -1, 4242)
    os.chmod(store.path("team"), 0o070)
    code = (
        "import os, sys\ntry: print(os.listdir(sys.argv[1] + '/team'))\nexcept OSError as e: print(e.errno)"
    )
    member = store.run(code, user=NOBODY, group=NOBODY, extra_groups=[4242])
    stranger = store.run(code, user=NOBODY, group=NOBODY, extra_groups=[])

    assert ("[]", str(errno.EACCES)) == (member, stranger)


def test_a_closed_box_hides_what_is_below(store: MountedStore, errno_of: ErrnoOf) -> None:
    """Without search permission nothing in a box is reached, however often it was before."""
    os.mkdir(store.path("box"), 0o711)
    create(store, "box/x", 0o644)
    code = (
        "import os, sys\n"
        "for _ in sys.stdin:\n"
        "    try: os.stat(sys.argv[1] + '/box/x'); print('there', flush=True)\n"
        "    except OSError as error: print(error.errno, flush=True)\n"
    )
    client = store.client(code, user=NOBODY, group=NOBODY, extra_groups=[])
    assert client.stdin is not None
    assert client.stdout is not None
    answers = []
    for mode in (0o711, 0o700):
        os.chmod(store.path("box"), mode)
        client.stdin.write("\n")
        client.stdin.flush()
        answers.append(client.stdout.readline().strip())

    assert ["there", str(errno.EACCES)] == answers


def test_a_listing_shows_all_of_many_names_once(store: MountedStore) -> None:
    """readdir in many pieces neither skips nor repeats, and knows what each name is."""
    names = {f"entry-{number:04}" for number in range(700)}
    for name in names:
        create(store, name)
    os.mkdir(store.path("box"))
    with os.scandir(store.root) as scan:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]

    assert sorted([(name, False) for name in names] + [("box", True)]) == sorted(found)


def test_inode_numbers_carry_the_mark_of_every_instance(store: MountedStore) -> None:
    """The root and all below, by stat and by readdir, so that a store knows a file of another one."""
    create(store, "x")
    inos = [os.stat(store.root).st_ino, os.stat(store.path("x")).st_ino]
    with os.scandir(store.root) as scan:
        inos += [entry.inode() for entry in scan]

    assert {INODE_PREFIX} == {ino >> 48 for ino in inos}


def test_access_follows_the_mode_bits(store: MountedStore) -> None:
    """access(2) as a stranger."""
    create(store, "x", 0o644)
    said = store.run(
        "import os, sys\n"
        "print([os.access(sys.argv[1] + '/x', mode) for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK)])",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )

    assert str([True, True, False, False]) == said


def test_an_unlinked_entry_that_is_open_still_has_attributes(store: MountedStore, errno_of: ErrnoOf) -> None:
    """fstat works on, with no links; a number written then goes nowhere (ENOENT)."""
    handle = store.opened("x", STASHING)
    os.unlink(store.path("x"))
    links, code = os.fstat(handle).st_nlink, errno_of(os.write, handle, b"0\n")

    assert (0, errno.ENOENT) == (links, code)


def test_an_entry_has_only_so_many_links(store: MountedStore, errno_of: ErrnoOf) -> None:
    """EMLINK, as on other file systems."""
    store.stash("a", store.memfd())
    for number in range(MOST_NAMES - 1):
        os.link(store.path("a"), store.path(f"n{number}"))

    assert errno.EMLINK == errno_of(os.link, store.path("a"), store.path("more"))
    assert MOST_NAMES == os.stat(store.path("a")).st_nlink
