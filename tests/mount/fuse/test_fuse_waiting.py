"""Waiting on handles: reads that wait, signals, O_NONBLOCK, select and epoll."""

import errno
import os
import select
import signal
import socket
from collections.abc import Callable

import pytest

from fdstorefs.host import syscalls
from tests.mount.fuse.mounted_store import Client, MountedStore, next_line
from tests.mount.waiting import wait_for

ErrnoOf = Callable[..., int]
Pipe = tuple[int, int]

READER = (
    "import os, sys\n"
    "handle = os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
    "print('open', flush=True)\n"
    "try: print(os.read(handle, 99), flush=True)\n"
    "except KeyboardInterrupt: print('interrupted', flush=True)\n"
)


def in_read(pid: int) -> bool:
    """Whether a process sleeps in read(2)."""
    with open(f"/proc/{pid}/syscall") as file:
        return file.read().startswith("0 ")


def waiting_reader(store: MountedStore) -> Client:
    """A process that waits in a read of `x`."""
    client = store.client(READER)
    assert "open" == next_line(client)
    wait_for(lambda: in_read(client.pid), what="the read")
    return client


def test_a_read_waits_for_data(store: MountedStore, pipe: Pipe) -> None:
    """And gets it when it comes."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    os.write(pipe[1], b"late")

    assert "b'late'" == next_line(client)


def test_a_read_of_a_terminal_waits_though_the_server_does_not_watch_it(store: MountedStore) -> None:
    """Nobody can say when it is ready without waiting for its driver: it is tried again until there is something."""
    master, terminal = os.openpty()
    store.stash("x", terminal)
    client = waiting_reader(store)
    os.write(master, b"late\n")

    assert "b'late\\n'" == next_line(client)
    for descriptor in (master, terminal):
        os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_waiting_reader_can_be_stopped(store: MountedStore, pipe: Pipe, number: signal.Signals) -> None:
    """SIGINT is delivered at once, and the process can be killed: it is gone, not stuck in the kernel."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    client.send_signal(number)
    status = client.wait(2)

    assert (0 if number is signal.SIGINT else -number) == status
    store.wait_until_holds(handles=0)


def test_a_reader_that_was_stopped_took_no_data(store: MountedStore, pipe: Pipe) -> None:
    """What comes later is there for the next one."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    client.kill()
    client.wait(2)
    os.write(pipe[1], b"for another")

    assert b"for another" == os.read(store.opened("x"), 99)


def test_a_signal_handler_runs_and_the_read_goes_on(store: MountedStore, pipe: Pipe) -> None:
    """EINTR reaches the program, which may read again."""
    store.stash("x", pipe[0])
    client = store.client(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n" + READER
    )
    assert "open" == next_line(client)
    wait_for(lambda: in_read(client.pid), what="the read")
    client.send_signal(signal.SIGUSR1)
    handled = next_line(client)
    os.write(pipe[1], b"x")

    assert ("handled", "b'x'") == (handled, next_line(client))


def test_many_waiting_readers_hold_nobody_up(store: MountedStore, pipe: Pipe) -> None:
    """300 processes wait on one pipe; names, other data and they themselves go on, and few threads serve them."""
    store.stash("x", pipe[0])
    store.stash("other", store.memfd(b"there"))
    clients = [store.client(READER) for _ in range(300)]
    for client in clients:
        assert "open" == next_line(client)
    for client in clients:
        wait_for(lambda client=client: in_read(client.pid), what="the read")
    report = store.holds()
    os.mkdir(store.path("box"))
    other = os.read(store.opened("other"), 9)
    for _ in clients:
        os.write(pipe[1], b"x" * 99)

    assert (300, b"there") == (report["handles"], other)
    assert report["threads"] < 10
    assert {"b'" + "x" * 99 + "'"} == {next_line(client) for client in clients}


def test_readers_of_many_files_wait_side_by_side(store: MountedStore) -> None:
    """Each gets its own data, whatever order it comes in."""
    pipes = [os.pipe() for _ in range(50)]
    for number, (reader, _) in enumerate(pipes):
        store.stash(str(number), reader)
    code = READER.replace("'/x'", "'/' + sys.argv[2]")
    clients = [store.client(code, number) for number in range(50)]
    for client in clients:
        assert "open" == next_line(client)
    got = {}
    for number in reversed(range(50)):
        os.write(pipes[number][1], str(number).encode())
        got[number] = next_line(clients[number])
    for end in (end for ends in pipes for end in ends):
        os.close(end)

    assert {number: f"b'{number}'" for number in range(50)} == got


def test_nonblock_is_eagain(store: MountedStore, pipe: Pipe, errno_of: ErrnoOf) -> None:
    """In both directions, also when it is set after the open, also while others wait."""
    reader, writer = pipe
    store.stash("x", reader)
    store.stash("w", writer)
    waiting_reader(store)
    handle, filling = store.opened("x"), store.opened("w", os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(handle, False)
    codes = [errno_of(os.read, handle, 1)]
    os.kill(store.clients[0].pid, signal.SIGKILL)
    store.clients[0].wait(2)
    written = 0
    with pytest.raises(BlockingIOError):
        while True:
            written += os.write(filling, bytes(10_000))

    assert ([errno.EAGAIN], True) == (codes, written >= 60_000)


def test_select_sees_a_handle_become_ready(store: MountedStore, pipe: Pipe) -> None:
    """Not before there is data, then at once."""
    store.stash("x", pipe[0])
    handle = store.opened("x")
    before = select.select([handle], [], [], 0)[0]
    client = store.client(
        "import os, select, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
        "print('open', flush=True)\n"
        "print(len(select.select([handle], [], [], 10)[0]), os.read(handle, 9), flush=True)\n"
    )
    assert "open" == next_line(client)
    os.write(pipe[1], b"now")

    assert ([], "1 b'now'") == (before, next_line(client))


def test_poll_tells_what_the_stored_file_would(store: MountedStore, pipe: Pipe) -> None:
    """Ready to write, hung up, broken."""
    reader, writer = pipe
    store.stash("r", reader)
    store.stash("w", writer)
    readable, writable = store.opened("r"), store.opened("w", os.O_WRONLY)
    poll = select.poll()
    poll.register(readable, select.POLLIN)
    poll.register(writable, select.POLLOUT)
    first = dict(poll.poll(0))
    os.unlink(store.path("w"))
    os.close(writer)
    poll.unregister(writable)
    store.close(writable)
    hung_up = wait_for(lambda: dict(poll.poll(0)), what="the hang-up")

    assert ({writable: select.POLLOUT}, {readable: select.POLLHUP}) == (first, hung_up)


@pytest.mark.parametrize("edge", [0, select.EPOLLET])
def test_epoll_wakes_for_each_message(store: MountedStore, edge: int) -> None:
    """Level- and edge-triggered: after a read until EAGAIN the next message is noticed again."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    store.stash("x", theirs.fileno())
    client = store.client(
        "import os, select, sys\n"
        "handle = os.open(sys.argv[1] + '/x', os.O_RDWR | os.O_NONBLOCK)\n"
        "poller = select.epoll()\n"
        "poller.register(handle, select.EPOLLIN | int(sys.argv[2]))\n"
        "print('open', flush=True)\n"
        "while poller.poll(10):\n"
        "    while True:\n"
        "        try: print(os.read(handle, 99), flush=True)\n"
        "        except BlockingIOError: break\n",
        edge,
    )
    assert "open" == next_line(client)
    got = []
    for number in range(20):
        ours.send(str(number).encode())
        got.append(next_line(client))
    ours.close()
    theirs.close()

    assert [f"b'{number}'" for number in range(20)] == got


def test_an_edge_triggered_poller_is_not_woken_for_nothing(store: MountedStore) -> None:
    """Ready to write all the time is reported once."""
    ours, theirs = socket.socketpair()
    store.stash("x", theirs.fileno())
    handle = store.opened("x", os.O_RDWR)
    with select.epoll() as poller:
        poller.register(handle, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        first, second = poller.poll(0), poller.poll(0.2)
        ours.send(b"x")
        third = poller.poll(5)
    ours.close()
    theirs.close()

    assert ([(handle, select.EPOLLOUT)], []) == (first, second)
    assert [(handle, select.EPOLLIN | select.EPOLLOUT)] == third


def test_a_regular_file_is_always_ready(store: MountedStore) -> None:
    """As poll(2) has it."""
    store.stash("x", store.memfd(b"x"))
    handle = store.opened("x", os.O_RDWR)
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLOUT)

    assert [(handle, select.POLLIN | select.POLLOUT)] == poll.poll(0)


def test_who_polls_a_handle_keeps_no_registration_after_it(store: MountedStore, pipe: Pipe) -> None:
    """Handles closed while somebody polled them leave nothing behind, however often."""
    store.stash("x", pipe[0])
    before = store.holds()
    for _ in range(50):
        handle = store.opened("x")
        with select.epoll() as poller:
            poller.register(handle, select.EPOLLIN)
            poller.poll(0)
        store.close(handle)
    store.wait_until_holds(handles=0, descriptors=before["descriptors"])
    os.write(pipe[1], b"x")

    assert b"x" == os.read(store.opened("x"), 9)


def test_waiting_readers_are_let_go_when_the_connection_is_aborted(
    store: MountedStore, pipe: Pipe, errno_of: ErrnoOf
) -> None:
    """As by umount --force: who waits gets an error, and the server ends well."""
    store.stash("x", pipe[0])
    client = waiting_reader(store)
    busy = errno_of(syscalls.umount2, store.root, syscalls.MNT_FORCE)

    assert (errno.EBUSY, 1, 0) == (busy, client.wait(5), store.wait())


def test_an_edge_triggered_poller_may_stop_at_a_short_read(store: MountedStore) -> None:
    """It need not read until EAGAIN to be told of the next message."""
    ours, theirs = socket.socketpair()
    store.stash("x", theirs.fileno())
    handle = store.opened("x", os.O_RDWR | os.O_NONBLOCK)
    got = []
    with select.epoll() as poller:
        poller.register(handle, select.EPOLLIN | select.EPOLLET)
        for _ in range(5):
            ours.send(b"message")
            assert poller.poll(5)
            got.append(os.read(handle, 99))
            poller.poll(0)
    ours.close()
    theirs.close()

    assert [b"message"] * 5 == got
