"""Handles on the mount, and everybody who waits by them, are carried over to another server and notice nothing."""

import errno
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable

import pytest

from tests.mount.fuse.mounted_store import Client, next_line
from tests.mount.fuse.test_fuse_waiting import waiting_reader
from tests.mount.handover.succession import Succession
from tests.mount.waiting import wait_for

Pipe = tuple[int, int]
Change = Callable[[], None]

WRITER = (
    "import os, sys\n"
    "handle = os.open(sys.argv[1] + '/x', os.O_WRONLY)\n"
    "print('open', flush=True)\n"
    "print(os.write(handle, b'w' * int(sys.argv[2])), flush=True)\n"
)
POLLER = (
    "import os, select, sys\n"
    "handle = os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
    "poll = select.epoll()\n"
    "poll.register(handle, select.EPOLLIN | (select.EPOLLET if sys.argv[2] == 'edge' else 0))\n"
    "print('open', flush=True)\n"
    "print(poll.poll(60)[0][1] == select.EPOLLIN, flush=True)\n"
    "print(os.read(handle, 99), flush=True)\n"
    "print(poll.poll(60)[0][1] == select.EPOLLIN, flush=True)\n"
)


def sleeps_in(client: Client, call: int) -> bool:
    """Whether a process sleeps in this system call."""
    with open(f"/proc/{client.pid}/syscall") as file:
        return file.read().startswith(f"{call} ")


EPOLL_WAIT, EPOLL_PWAIT, WRITE = 232, 281, 1


def test_another_process_serves(store: Succession) -> None:
    """And only that; then a third one."""
    pids = [store.holds()["pid"]]
    for _ in range(2):
        store.succeed()
        pids.append(store.holds()["pid"])

    assert 3 == len(set(pids))


def test_a_read_waits_for_a_third_server(store: Succession, pipe: Pipe) -> None:
    """What was carried over once can be again."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    for _ in range(2):
        store.succeed()
    os.write(pipe[1], b"late")

    assert "b'late'" == next_line(client)


def test_a_read_that_waits_gets_its_data(store: Succession, pipe: Pipe, change: Change) -> None:
    """From the other server, when it comes."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    change()
    os.write(pipe[1], b"late")

    assert "b'late'" == next_line(client)


def test_who_waits_can_be_stopped(store: Succession, pipe: Pipe, change: Change) -> None:
    """A signal reaches the call at the other server, and no data goes with it."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    change()
    client.send_signal(signal.SIGINT)

    assert "interrupted" == next_line(client)
    store.wait_until_holds(handles=0)
    os.write(pipe[1], b"for another")
    assert b"for another" == os.read(store.opened("x"), 99)


def test_readers_are_served_in_turn(store: Succession, pipe: Pipe, change: Change) -> None:
    """Whoever came first gets what comes first."""
    store.stash("x", pipe[0])
    first = waiting_reader(store)
    second = waiting_reader(store)
    change()
    os.write(pipe[1], b"1")
    got_first = next_line(first)
    os.write(pipe[1], b"2")

    assert ("b'1'", "b'2'") == (got_first, next_line(second))


def test_a_write_goes_on_where_it_was(store: Succession, pipe: Pipe, change: Change) -> None:
    """What is in the pipe already isn't written again, and nothing is left out."""
    store.stash("x", pipe[1], mode=0o600)
    room = 4096 * 16
    client = store.client(WRITER, room + 6000)
    assert "open" == next_line(client)
    wait_for(lambda: len_of(pipe[0]) == room and sleeps_in(client, WRITE), what="a full pipe")
    change()
    got = b""
    while len(got) < room + 6000:
        got += os.read(pipe[0], 1 << 16)

    assert (str(room + 6000), b"w" * (room + 6000)) == (next_line(client), got)


def len_of(reader: int) -> int:
    """How many bytes are in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0])


@pytest.mark.parametrize("how", ["level", "edge"])
def test_who_polls_is_told(store: Succession, pipe: Pipe, change: Change, how: str) -> None:
    """Of what comes while the other serves; and again, after it was read."""
    store.stash("x", pipe[0])
    client = store.client(POLLER, how)
    assert "open" == next_line(client)
    wait_for(lambda: sleeps_in(client, EPOLL_WAIT) or sleeps_in(client, EPOLL_PWAIT), what="epoll")
    change()
    os.write(pipe[1], b"1")
    first = [next_line(client), next_line(client)]
    os.write(pipe[1], b"2")

    assert (["True", "b'1'"], "True") == (first, next_line(client))


def test_who_has_read_is_told_by_the_edge(store: Succession, pipe: Pipe, change: Change) -> None:
    """He waits for the next event without asking again."""
    store.stash("x", pipe[0])
    client = store.client(POLLER, "edge")
    assert "open" == next_line(client)
    os.write(pipe[1], b"1")
    assert ["True", "b'1'"] == [next_line(client), next_line(client)]
    wait_for(lambda: sleeps_in(client, EPOLL_WAIT) or sleeps_in(client, EPOLL_PWAIT), what="epoll")
    change()
    os.write(pipe[1], b"2")

    assert "True" == next_line(client)


def test_a_handle_stays_at_its_open_file(store: Succession, change: Change) -> None:
    """Wherever its entry is, and whatever is in that by now."""
    store.stash("x", store.memfd(b"first"))
    handle = store.opened("x")
    assert b"fi" == os.read(handle, 2)
    store.stash("x", store.memfd(b"second"))
    os.rename(store.path("x"), store.path("y"))
    change()

    assert (b"rst", b"second") == (os.read(handle, 9), os.read(store.opened("y"), 9))


def test_what_has_no_name_any_more_can_be_used(store: Succession, pipe: Pipe, change: Change) -> None:
    """And goes with its last handle."""
    store.stash("x", pipe[0])
    handle, again = store.opened("x"), store.opened("x")
    os.unlink(store.path("x"))
    change()
    os.write(pipe[1], b"data")

    assert b"data" == os.read(handle, 9)
    assert 0 == os.fstat(again).st_nlink
    store.close(handle)
    store.close(again)
    store.wait_until_holds(files=0, handles=0, nodes=1)


def test_attributes_are_found_by_what_is_open(store: Succession, change: Change) -> None:
    """The kernel's references to entries and boxes are counted on."""
    os.mkdir(store.path("box"))
    store.stash("box/x", store.memfd(b"data"))
    opened = store.keep(os.open(store.path("box"), os.O_PATH))
    number = os.stat("x", dir_fd=opened).st_ino
    change()

    assert number == os.stat("x", dir_fd=opened).st_ino
    os.unlink("x", dir_fd=opened)
    os.rmdir(store.path("box"))
    store.close(opened)
    store.wait_until_holds(nodes=1)


def test_a_working_directory_that_was_removed_stays_one(store: Succession, change: Change) -> None:
    """Also one within another."""
    os.makedirs(store.path("a/b"))
    opened = store.keep(os.open(store.path("a/b"), os.O_RDONLY | os.O_DIRECTORY))
    os.rmdir(store.path("a/b"))
    os.rmdir(store.path("a"))
    change()
    number = os.fstat(opened).st_nlink

    assert 0 == number
    with pytest.raises(FileNotFoundError):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=opened)


def test_a_directory_is_read_on(store: Succession, change: Change) -> None:
    """Each name once, and the new ones by whoever begins again."""
    for number in range(400):
        os.mknod(store.path(f"{number:03}"), 0o600)
    listing = os.scandir(store.path(""))
    seen = [next(listing).name for _ in range(10)]
    os.unlink(store.path("399"))
    change()
    os.mknod(store.path("new"), 0o600)
    seen += [entry.name for entry in listing]

    assert [f"{number:03}" for number in range(400)] == sorted(set(seen) - {".fdstore"})[:400]
    assert len(seen) == len(set(seen))
    assert {*(f"{number:03}" for number in range(399)), "new", ".fdstore"} == set(os.listdir(store.path("")))


def test_a_handle_to_stash_by_is_filled_later(store: Succession, change: Change) -> None:
    """By whoever opened it, once."""
    memfd = store.memfd(b"stashed")
    handle = store.keep(os.open(store.path("x"), os.O_WRONLY | os.O_CREAT, 0o600))
    change()
    os.write(handle, b"%d" % memfd)

    with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
        os.write(handle, b"%d" % memfd)
    assert b"stashed" == os.read(store.opened("x"), 9)


def test_a_handle_that_has_stashed_has_done_so(store: Succession, change: Change) -> None:
    """It can do no more at the other server either."""
    memfd = store.memfd(b"stashed")
    handle = store.keep(os.open(store.path("x"), os.O_WRONLY | os.O_CREAT, 0o600))
    os.write(handle, b"%d" % memfd)
    change()

    with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
        os.write(handle, b"%d" % memfd)


def test_new_handles_are_others(store: Succession, change: Change) -> None:
    """Their numbers go on above those that were used."""
    store.stash("x", store.memfd(b"x"))
    store.stash("y", store.memfd(b"y"))
    before = store.opened("x")
    change()
    after = store.opened("y")

    assert (b"x", b"y") == (os.read(before, 9), os.read(after, 9))
    assert 2 == store.holds()["handles"]


def test_the_store_is_the_same(store: Succession, change: Change) -> None:
    """Inode numbers, and open files."""
    memfd = store.memfd(b"data")
    store.stash("x", memfd)
    number = os.stat(store.path("x")).st_ino
    change()

    assert number == os.stat(store.path("x")).st_ino
    assert b"data" == os.read(store.opened("x"), 9)
    assert 4 == os.lseek(memfd, 0, os.SEEK_CUR)


@pytest.mark.parametrize(
    "key", ["init", "files", "nodes", "lookups", "handles", "listings", "waiting", "lingering", "connections"]
)
def test_what_is_not_understood_is_refused(store: Succession, pipe: Pipe, key: str) -> None:
    """The other server says so and ends, and nobody notices."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)

    assert store.confuse(key).startswith("what was told of ")
    os.write(pipe[1], b"late")
    assert "b'late'" == next_line(client)


def test_another_format_is_refused(store: Succession) -> None:
    """One that this version does not know."""
    assert store.confuse("format").startswith("the mount is told in format nonsense")
