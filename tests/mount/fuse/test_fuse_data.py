"""Reading and writing stored files through handles in the mount."""

import array
import errno
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.mount.fuse.mounted_store import MountedStore, next_line
from tests.mount.waiting import wait_for

ErrnoOf = Callable[..., int]


def test_the_offset_is_that_of_the_stored_file(store: MountedStore) -> None:
    """Two handles and the stasher's own descriptor read on where the last of them stopped."""
    memfd = store.memfd(b"abcdef")
    store.stash("x", memfd)
    first, second = store.opened("x"), store.opened("x")

    assert [b"ab", b"cd", b"e", b"f", b""] == [
        os.read(first, 2),
        os.read(second, 2),
        os.read(memfd, 1),
        os.read(first, 9),
        os.read(second, 9),
    ]


def test_writing_goes_on_where_the_stored_file_stands(store: MountedStore) -> None:
    """A handle opened to write an entry that is full writes into its file; O_APPEND of the handle is no matter."""
    memfd = store.memfd(b"abcdef")
    store.stash("x", memfd)
    os.lseek(memfd, 2, os.SEEK_SET)
    for flags in (os.O_WRONLY, os.O_RDWR | os.O_APPEND):
        os.write(store.opened("x", flags), b"XY")

    assert b"abXYXY" == os.pread(memfd, 9, 0)


def test_a_handle_has_no_offset(store: MountedStore, errno_of: ErrnoOf) -> None:
    """lseek, pread and pwrite are ESPIPE; ioctl is ENOTTY, fallocate is not supported."""
    store.stash("x", store.memfd(b"abc"))
    handle = store.opened("x", os.O_RDWR)
    codes = [
        errno_of(os.lseek, handle, 0, os.SEEK_SET),
        errno_of(os.lseek, handle, 0, os.SEEK_DATA),
        errno_of(os.pread, handle, 1, 0),
        errno_of(os.pwrite, handle, b"x", 0),
        errno_of(os.tcgetpgrp, handle),
        errno_of(os.posix_fallocate, handle, 0, 1),
    ]

    assert [*[errno.ESPIPE] * 4, errno.ENOTTY] == codes[:5]
    assert codes[5] in (errno.ESPIPE, errno.EOPNOTSUPP)


@pytest.mark.parametrize(
    ("stored", "wanted", "expected"),
    [
        (os.O_RDONLY, os.O_WRONLY, errno.EACCES),
        (os.O_RDONLY, os.O_RDWR, errno.EACCES),
        (os.O_WRONLY, os.O_RDONLY, errno.EACCES),
        (os.O_WRONLY, os.O_WRONLY, 0),
        (os.O_RDONLY, os.O_RDONLY, 0),
        (os.O_RDWR, os.O_RDONLY, 0),
    ],
)
def test_a_handle_can_do_no_more_than_the_stored_file(
    store: MountedStore, errno_of: ErrnoOf, stored: int, wanted: int, expected: int
) -> None:
    """EACCES where the modes don't fit."""
    memfd = store.memfd(b"x")
    store.stash("x", store.keep(os.open(f"/proc/self/fd/{memfd}", stored)))

    assert expected == errno_of(store.opened, "x", wanted)


def test_the_mode_bits_must_grant_what_the_stored_file_can(store: MountedStore) -> None:
    """A file that can be written is not handed to a reader, for a copy of it could write."""
    memfd = store.memfd(b"x")
    store.stash("rw", memfd, mode=0o644)
    store.stash("r", store.keep(os.open(f"/proc/self/fd/{memfd}", os.O_RDONLY)), mode=0o644)
    said = store.run(
        "import os, sys\n"
        "for name in ('rw', 'r'):\n"
        "    try: os.open(f'{sys.argv[1]}/{name}', os.O_RDONLY); print(0)\n"
        "    except OSError as error: print(error.errno)\n",
        user=65534,
        group=65534,
        extra_groups=[],
    )

    assert [errno.EACCES, 0] == [int(code) for code in said.split()]


def test_a_large_file_goes_through_whole(store: MountedStore) -> None:
    """More than fits into one request, in both directions."""
    content = os.urandom(1_000_003)
    source, sink = store.memfd(content), store.memfd()
    store.stash("source", source)
    store.stash("sink", sink)
    got = os.read(store.opened("source"), 2_000_000)
    count = os.write(store.opened("sink", os.O_WRONLY), content)

    assert (content, len(content), content) == (got, count, os.pread(sink, 2_000_000, 0))


def test_a_read_of_a_pipe_takes_what_is_there(store: MountedStore, pipe: tuple[int, int]) -> None:
    """A large buffer doesn't make it wait for more, wherever the kernel splits the read."""
    reader, writer = pipe
    capacity = 1 << 20
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, capacity)
    os.set_blocking(writer, False)
    store.stash("x", reader)
    handle = store.opened("x")
    for size in (1, 4096, 65536, 131071, 131072, 131073, 262144, capacity):
        sent = os.write(writer, bytes(size))
        got = 0
        while got < sent:
            got += len(os.read(handle, capacity))
        assert sent == got


def test_a_write_to_a_pipe_waits_until_all_is_written(store: MountedStore, pipe: tuple[int, int]) -> None:
    """As write(2) to a pipe does, while somebody reads."""
    reader, writer = pipe
    store.stash("x", writer)
    handle = store.opened("x", os.O_WRONLY)
    written: list[int] = []
    writing = threading.Thread(target=lambda: written.append(os.write(handle, bytes(300_000))))
    writing.start()
    got = 0
    while got < 300_000:
        got += len(os.read(reader, 50_000))
    writing.join(10)

    assert [300_000] == written


def test_end_of_file_and_broken_pipe(store: MountedStore, errno_of: ErrnoOf) -> None:
    """A read without a writer is at the end; a write without a reader is EPIPE, and harms nobody."""
    reader, writer = os.pipe()
    store.stash("r", reader)
    os.close(writer)
    ended = os.read(store.opened("r"), 5)
    second_reader, second_writer = os.pipe()
    store.stash("w", second_writer)
    os.close(second_reader)
    broken = errno_of(os.write, store.opened("w", os.O_WRONLY), b"x")
    os.close(reader)
    os.close(second_writer)

    assert (b"", errno.EPIPE) == (ended, broken)
    assert store.holds()


def test_datagrams_keep_their_boundaries(store: MountedStore) -> None:
    """One read, one datagram; what doesn't fit is cut off, as by recv."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        ours.connect(ours.getsockname())
        store.stash("x", ours.fileno())
        handle = store.opened("x", os.O_RDWR)
        for datagram in (b"one", b"", b"three", b"four"):
            os.write(handle, datagram) if datagram else ours.send(b"")
        got = [os.read(handle, size) for size in (99, 99, 2, 99)]

    assert [b"one", b"", b"th", b"four"] == got


def test_a_tcp_connection_through_the_mount(store: MountedStore) -> None:
    """Read and write on one handle, also at the same time: a waiting read keeps no write out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with client, accepted:
        store.stash("x", accepted.fileno())
        handle = store.opened("x", os.O_RDWR)
        got: list[bytes] = []
        reading = threading.Thread(target=lambda: got.append(os.read(handle, 99)))
        reading.start()
        os.write(handle, b"to the client")
        heard = client.recv(99)
        client.send(b"to the server")
        reading.join(10)

    assert (b"to the client", [b"to the server"]) == (heard, got)


def test_a_listening_socket_can_be_opened_and_not_read(store: MountedStore, errno_of: ErrnoOf) -> None:
    """The errno is the socket's own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store.stash("x", listener.fileno())

        assert errno.ENOTCONN == errno_of(os.read, store.opened("x"), 1)


def test_an_eventfd_counts_through_the_mount(store: MountedStore, errno_of: ErrnoOf) -> None:
    """Eight bytes at a time, and its own errors."""
    counter = store.keep(os.eventfd(0))
    store.stash("x", counter)
    handle = store.opened("x", os.O_RDWR)
    os.write(handle, (5).to_bytes(8, "little"))
    os.eventfd_write(counter, 2)
    short = errno_of(os.read, handle, 4)

    assert (errno.EINVAL, 7) == (short, int.from_bytes(os.read(handle, 8), "little"))


def test_the_flags_of_the_stored_file_stay(store: MountedStore, pipe: tuple[int, int]) -> None:
    """Neither blocking nor anything else changes for others who share it."""
    store.stash("x", pipe[0])
    handle = store.opened("x", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        os.read(handle, 1)

    assert os.get_blocking(pipe[0])


def test_a_stored_file_that_does_not_block_waits_all_the_same(
    store: MountedStore, pipe: tuple[int, int]
) -> None:
    """O_NONBLOCK of the handle decides, not that of the stored file."""
    reader, writer = pipe
    os.set_blocking(reader, False)
    store.stash("x", reader)
    handle = store.opened("x")
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.append(os.read(handle, 9)))
    reading.start()
    os.write(writer, b"late")
    reading.join(10)

    assert [b"late"] == got


def test_an_entry_can_be_discarded_while_it_is_open(store: MountedStore, pipe: tuple[int, int]) -> None:
    """The handle works on; when it is closed, the file goes."""
    reader, writer = pipe
    store.stash("x", writer)
    handle = store.opened("x", os.O_WRONLY)
    os.unlink(store.path("x"))
    os.close(writer)
    os.write(handle, b"last words")
    store.close(handle)

    assert [b"last words", b""] == [os.read(reader, 99), os.read(reader, 99)]


def test_a_handle_keeps_the_file_it_was_opened_on(store: MountedStore) -> None:
    """Replacing the entry doesn't reach who has it open."""
    store.stash("x", store.memfd(b"old"))
    handle = store.opened("x")
    store.stash("x", store.memfd(b"new"))

    assert b"old" == os.read(handle, 9)


def test_descriptors_in_a_socket_are_not_received_by_reading(store: MountedStore) -> None:
    """A read of a Unix socket takes the bytes; descriptors that came with them go, as with read(2)."""
    ours, theirs = socket.socketpair()
    store.stash("x", theirs.fileno())
    before = store.holds()["descriptors"]
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ours.fileno()]))])
    got = os.read(store.opened("x"), 9)
    after = store.holds()["descriptors"]
    ours.close()
    theirs.close()

    assert (b"x", before) == (got, after)


def test_a_full_pipe_holds_nobody_up_for_long(store: MountedStore, pipe: tuple[int, int]) -> None:
    """A write that waits ends with EINTR in the end: the kernel lets nobody unlink the entry meanwhile."""
    os.set_blocking(pipe[1], False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe[1], bytes(65536))
    store.stash("x", pipe[1])
    client = store.client(
        "import ctypes, os, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_WRONLY)\n"
        "print('go', flush=True)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.write(handle, b'x', 1) == -1\n"
        "print(ctypes.get_errno())\n"
    )
    assert "go" == next_line(client)
    wait_for(lambda: is_waiting_in_write(client.pid), what="the write")
    began = time.monotonic()
    os.unlink(store.path("x"))
    took = time.monotonic() - began

    assert str(errno.EINTR) == next_line(client)
    assert took < 10


def is_waiting_in_write(pid: int) -> bool:
    """Whether a process sleeps in write(2)."""
    with open(f"/proc/{pid}/syscall") as file:
        return file.read().startswith("1 ")


def test_a_writer_can_be_killed(store: MountedStore, pipe: tuple[int, int]) -> None:
    """Also while it waits for a reader that never comes."""
    store.stash("x", pipe[1])
    client = store.client(
        "import os, sys\nhandle = os.open(sys.argv[1] + '/x', os.O_WRONLY)\nos.write(handle, bytes(1 << 20))"
    )
    wait_for(lambda: is_waiting_in_write(client.pid), what="the write")
    client.send_signal(signal.SIGKILL)

    assert -signal.SIGKILL == client.wait(2)
