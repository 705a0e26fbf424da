"""Write the number of a descriptor into an entry, and the entry holds that open file."""

import errno
import itertools
import os
import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.server.budget import budget
from tests.mount.fuse.mounted_store import STASHING, MountedStore, next_line

ErrnoOf = Callable[..., int]
NOBODY = 65534


def kind(store: MountedStore, name: str) -> str:
    """What the store says is inside."""
    return os.getxattr(store.path(name), "user.fdstorefs.kind").decode()


@pytest.fixture
def set_user_id_program() -> Iterator[str]:
    """A copy of env(1) that everybody runs as root."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy("/usr/bin/env", directory)
        os.chmod(program, 0o4755)
        yield program


@pytest.fixture
def handle(store: MountedStore) -> int:
    """A handle that stashes into `x`."""
    return store.opened("x", STASHING)


def test_every_kind_is_stashed_by_number(store: MountedStore, pipe: tuple[int, int]) -> None:
    """Sockets, pipes, memfds, files, directories (O_PATH too), devices, eventfds, epoll, pidfds."""
    listener, poller = socket.socket(), select.epoll()
    open_files = {
        "socket": listener.fileno(),
        "pipe": pipe[0],
        "memfd": store.memfd(),
        "regular": store.keep(os.open(__file__, os.O_RDONLY)),
        "directory": store.keep(os.open("/", os.O_RDONLY | os.O_DIRECTORY)),
        "device": store.keep(os.open("/dev/null", os.O_RDWR)),
        "eventfd": store.keep(os.eventfd(0)),
        "epoll": poller.fileno(),
        "pidfd": store.keep(os.pidfd_open(os.getpid())),
    }
    for name, descriptor in open_files.items():
        store.stash(name, descriptor)
    store.stash("path", store.keep(os.open("/", os.O_PATH)))

    listener.close()
    poller.close()

    assert [*open_files, "directory"] == [kind(store, name) for name in (*open_files, "path")]


def test_a_shell_stashes_with_echo(store: MountedStore) -> None:
    """The documented way: a builtin, and a program that is executed on an open handle."""
    store.run(
        "import subprocess, sys\n"
        "for echo in ('echo', '/bin/echo'):\n"
        "    subprocess.run(['bash', '-c', f'exec 7</etc/passwd; {echo} 7 > $0', sys.argv[1] + '/x'], check=True)\n"
    )

    assert b"root" == os.read(store.opened("x"), 4)


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"x", b"-1", b"+1", b" 1", b"1 ", b"1\n\n", b"1\n2", b"0x1", b"1.0", b"1\0", b"0" * 40],
)
def test_what_is_no_number_is_einval(
    store: MountedStore, handle: int, errno_of: ErrnoOf, text: bytes
) -> None:
    """Decimal digits and at most one newline, nothing else. An empty write does nothing at all."""
    expected = errno.EINVAL if text else 0

    assert (expected, "empty") == (errno_of(os.write, handle, text), kind(store, "x"))


def test_a_number_at_another_offset_is_einval(handle: int, errno_of: ErrnoOf) -> None:
    """It must be written at once."""
    assert errno.EINVAL == errno_of(os.pwrite, handle, b"0\n", 1)


@pytest.mark.parametrize("number", [b"999", b"2147483647", b"99999999999"])
def test_a_number_that_is_not_open_is_ebadf(
    store: MountedStore, handle: int, errno_of: ErrnoOf, number: bytes
) -> None:
    """And the entry stays empty."""
    assert (errno.EBADF, "empty") == (errno_of(os.write, handle, number), kind(store, "x"))


def test_a_handle_stashes_once_and_may_try_again_after_a_failure(
    store: MountedStore, handle: int, pipe: tuple[int, int], errno_of: ErrnoOf
) -> None:
    """A second write after success is EBUSY."""
    failed = errno_of(os.write, handle, b"999\n")
    stashed = os.write(handle, b"%d\n" % pipe[0])
    again = errno_of(os.write, handle, b"%d\n" % pipe[0])

    assert (errno.EBADF, len(b"%d\n" % pipe[0]), errno.EBUSY) == (failed, stashed, again)


def test_another_thread_may_write_the_number(store: MountedStore, handle: int, pipe: tuple[int, int]) -> None:
    """The process counts, not the thread."""
    writing = threading.Thread(target=os.write, args=(handle, b"%d\n" % pipe[0]))
    writing.start()
    writing.join(10)

    assert "pipe" == kind(store, "x")


def test_a_thread_with_its_own_descriptor_table_stashes_its_own(store: MountedStore) -> None:
    """The number is looked up in the table of the very thread that writes."""
    got = store.run(
        "import ctypes, os, sys, threading\n"
        "ours = os.memfd_create('main'); os.write(ours, b'main'); os.lseek(ours, 0, 0)\n"
        "def stash():\n"
        "    assert ctypes.CDLL(None).unshare(0x400) == 0\n"
        "    own = os.memfd_create('thread'); os.write(own, b'thread'); os.lseek(own, 0, 0)\n"
        "    os.dup2(own, ours)\n"
        "    os.write(os.open(sys.argv[1] + '/x', os.O_CREAT | os.O_WRONLY), b'%d' % ours)\n"
        "thread = threading.Thread(target=stash); thread.start(); thread.join()\n"
        "print(os.read(os.open(sys.argv[1] + '/x', os.O_RDONLY), 10).decode())\n"
    )

    assert "thread" == got


def test_stashing_takes_nothing_from_the_process(
    store: MountedStore, handle: int, pipe: tuple[int, int]
) -> None:
    """The descriptor stays open and is the same file."""
    os.write(handle, b"%d" % pipe[0])
    os.write(pipe[1], b"x")

    assert b"x" == os.read(pipe[0], 1)


# Empty, full, replaced


def test_an_empty_entry_cannot_be_read(store: MountedStore, handle: int, errno_of: ErrnoOf) -> None:
    """ENXIO, at open; a handle that was opened to read and stash says so at read."""
    both = store.opened("y", os.O_RDWR | os.O_CREAT)

    assert [errno.ENXIO] * 2 == [errno_of(store.opened, "x"), errno_of(os.read, both, 1)]


def test_replacing_is_atomic(store: MountedStore) -> None:
    """Until a descriptor is written, and if that fails, the old file stays; then there is the new one at once."""
    store.stash("x", store.memfd(b"old"))
    replacing = store.opened("x", os.O_WRONLY | os.O_TRUNC)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(replacing, b"999")
    reading = store.opened("x")
    os.write(replacing, b"%d" % store.memfd(b"new"))
    later = store.opened("x")

    assert (b"old", b"new") == (os.read(reading, 9), os.read(later, 9))


def test_an_abandoned_replacement_changes_nothing(store: MountedStore) -> None:
    """Open with O_TRUNC and close again."""
    store.stash("x", store.memfd(b"old"))
    store.close(store.opened("x", os.O_WRONLY | os.O_TRUNC))

    assert b"old" == os.read(store.opened("x"), 9)


def test_an_entry_filled_meanwhile_is_not_replaced_by_accident(
    store: MountedStore, errno_of: ErrnoOf
) -> None:
    """A handle opened without O_TRUNC on an empty entry finds it full at the write: EEXIST."""
    store.close(store.opened("x", STASHING))
    late = store.opened("x", os.O_WRONLY)
    store.stash("x", store.memfd(b"first"))

    assert errno.EEXIST == errno_of(os.write, late, b"0")


def test_the_same_file_under_two_names_costs_one_descriptor(
    store: MountedStore, pipe: tuple[int, int]
) -> None:
    """Identity is kept however often it is stashed."""
    for name in ("a", "b", "a"):
        store.stash(name, pipe[0])

    assert 1 == store.holds()["files"]


def test_the_descriptor_limit_is_edquot(make_store: Callable[..., MountedStore], errno_of: ErrnoOf) -> None:
    """The limit less what is kept back for other needs; what is refused is not kept."""
    store = make_store("", next(limit for limit in itertools.count() if budget(limit).stored == 2))
    kept = [store.memfd(), store.memfd()]
    for number, descriptor in enumerate(kept):
        store.stash(str(number), descriptor)

    assert (errno.EDQUOT, 2) == (errno_of(store.stash, "more", store.memfd()), store.holds()["files"])


# Whose descriptor


def test_who_inherits_a_handle_cannot_have_descriptors_taken(store: MountedStore) -> None:
    """A child writes into its parent's handle: EPERM, whoever's number it meant. The parent still may."""
    said = store.run(
        "import os, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_CREAT | os.O_WRONLY, 0o600)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    try: os.write(handle, b'0')\n"
        "    except OSError as error: os._exit(error.errno)\n"
        "    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.write(handle, b'0'))\n"
    )

    assert f"{errno.EPERM} 1" == said


def test_a_handle_sent_to_another_process_is_of_no_use_to_it(store: MountedStore, handle: int) -> None:
    """The same by SCM_RIGHTS, with the same user: EPERM."""
    said = store.run(
        "import os, sys\ntry: os.write(int(sys.argv[2]), b'0')\nexcept OSError as error: print(error.errno)",
        handle,
        pass_fds=[handle],
    )

    assert (str(errno.EPERM), "empty") == (said, kind(store, "x"))


@pytest.mark.parametrize("change", ["setuid(0)", "setgroups([7])", "setgid(0)"])
def test_a_process_with_other_credentials_than_at_open_is_refused(store: MountedStore, change: str) -> None:
    """As when a set-user-id program is executed with a handle of its caller as standard output."""
    said = store.run(
        "import os, sys\n"
        "os.setresgid(65534, 65534, 0); os.setresuid(65534, 65534, 0)\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_CREAT | os.O_WRONLY, 0o600)\n"
        "os.setresuid(-1, 0, -1)\n"
        f"os.{change}\n"
        "try: os.write(handle, b'0')\n"
        "except OSError as error: print(error.errno)\n"
    )

    assert (str(errno.EPERM), "empty") == (said, kind(store, "x"))


def test_a_set_user_id_program_is_not_robbed(store: MountedStore, set_user_id_program: str) -> None:
    """The attack itself: root's program prints a number to its standard output, a handle of nobody's."""
    said = store.run(
        "import os, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_CREAT | os.O_WRONLY, 0o600)\n"
        "os.dup2(handle, 1)\n"
        "os.execv(sys.argv[2], [sys.argv[2], 'echo', '-n', '0'])\n",
        set_user_id_program,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        expect=1,
    )

    assert ("", "empty") == (said, kind(store, "x"))


def test_setxattr_takes_the_descriptor_of_the_caller(store: MountedStore, errno_of: ErrnoOf) -> None:
    """By `user.fdstorefs.fd`, where the request itself says who calls; it replaces."""
    store.close(store.opened("x", STASHING))
    codes = [
        errno_of(os.setxattr, store.path("x"), "user.fdstorefs.fd", value)
        for value in (b"%d" % store.memfd(b"one"), b"%d\n" % store.memfd(b"two"), b"999", b"x")
    ]

    assert ([0, 0, errno.EBADF, errno.EINVAL], b"two") == (codes, os.read(store.opened("x"), 9))


def test_a_process_that_is_killed_while_it_writes_leaves_nothing(store: MountedStore) -> None:
    """Whatever moment the end comes at, the server lives and holds nothing half-stashed."""
    for _ in range(10):
        client = store.client(
            "import os, sys\n"
            "print('go', flush=True)\n"
            "while True:\n"
            "    handle = os.open(sys.argv[1] + '/x', os.O_CREAT | os.O_WRONLY | os.O_TRUNC)\n"
            "    os.write(handle, b'0'); os.close(handle)\n"
        )
        assert "go" == next_line(client)
        client.kill()
        client.wait(10)
        store.wait_until_holds(handles=0)

    assert store.holds()["files"] <= 1


def test_a_number_written_to_somebody_elses_entry_takes_nothing(store: MountedStore) -> None:
    """A program with more rights, made to write a text to a file of somebody's choice, gives nothing away."""
    store.run(
        "import os, sys\nos.close(os.open(sys.argv[1] + '/trap', os.O_CREAT | os.O_WRONLY))\n"
        "os.chmod(sys.argv[1] + '/trap', 0o666)\n",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    handle = store.keep(os.open(store.path("trap"), os.O_WRONLY))

    with pytest.raises(PermissionError):
        os.write(handle, b"%d\n" % store.memfd(b"secret"))
    assert kind(store, "trap") == "empty"
