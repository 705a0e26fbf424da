"""A read that hangs in the kernel cannot be handed over: the former server answers it, and until then it stays."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.mount.fuse.mounted_store import Client, next_line
from tests.mount.fuse.test_fuse_stalled_files import stalled
from tests.mount.handover.succession import Succession
from tests.mount.waiting import wait_for

Pipe = tuple[int, int]

MORE_THAN_A_PAGE = b"1" * 4096 + b"23"
"""Whoever holds it up reads a page, and leaves the rest."""

READER = (
    "import os, sys\n"
    "handle = os.open(sys.argv[1] + '/x', os.O_RDONLY)\n"
    "print('open', flush=True)\n"
    "try: print(os.read(handle, 1), flush=True)\n"
    "except OSError as error: print(error.strerror, flush=True)\n"
)


@contextmanager
def held_up(store: Succession, pipe: Pipe, inside: bytes) -> Iterator[Client]:
    """A process that reads one byte of a pipe with this inside, and is held up in the kernel."""
    store.stash("x", pipe[0])
    os.write(pipe[1], inside)
    with stalled(pipe[0]):
        before = store.holds()["threads"]
        client = store.client(READER)
        assert "open" == next_line(client)
        wait_for(lambda: store.holds()["threads"] > before, what="a thread that reads")
        yield client


def test_it_is_answered_by_the_former_server(store: Succession, pipe: Pipe) -> None:
    """Which ends then; whoever comes later is served by the other one."""
    with held_up(store, pipe, MORE_THAN_A_PAGE) as client:
        store.succeed()
        elsewhere, is_there = store.holds()["elsewhere"], os.path.exists(f"/proc/{store.pid}")

    assert (1, True) == (elsewhere, is_there)
    assert "b'2'" == next_line(client)
    assert 0 == store.wait()
    store.wait_until_holds(elsewhere=0)
    assert b"3" == os.read(store.opened("x"), 9)


def test_what_would_wait_is_given_back(store: Succession, pipe: Pipe) -> None:
    """There was nothing to read after all: the former server ends, and the other one waits for more."""
    with held_up(store, pipe, b"for whoever holds it up") as client:
        store.succeed()
    status = store.wait()
    store.wait_until_holds(elsewhere=0)
    os.write(pipe[1], b"2")

    assert (0, "b'2'") == (status, next_line(client))


def test_who_waits_for_it_can_be_killed(store: Succession, pipe: Pipe) -> None:
    """The signal reaches the former server through the other one."""
    with held_up(store, pipe, MORE_THAN_A_PAGE) as client:
        store.succeed()
        client.send_signal(signal.SIGKILL)
        status = client.wait(5)

        assert -signal.SIGKILL == status
        store.wait_until_holds(elsewhere=0, handles=0)


def test_it_fails_if_the_former_server_dies(store: Succession, pipe: Pipe) -> None:
    """The other one says so."""
    with held_up(store, pipe, MORE_THAN_A_PAGE) as client:
        store.succeed()
        os.kill(store.pid, signal.SIGKILL)

    assert "Input/output error" == next_line(client)
    store.wait_until_holds(elsewhere=0)


def test_it_is_answered_if_nobody_takes_over(store: Succession, pipe: Pipe) -> None:
    """As if nothing had happened."""
    with held_up(store, pipe, MORE_THAN_A_PAGE) as client:
        store.fail()

    assert "b'2'" == next_line(client)
