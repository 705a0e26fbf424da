"""Whoever shares a stored file can stall it in the kernel. That harms those who use this file, and nobody else."""

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.mount.fuse.mounted_store import Client, MountedStore, next_line
from tests.unit.host.stalled_memory import StalledMemory


@contextmanager
def stalled(descriptor: int) -> Iterator[None]:
    """A thread of ours sleeps in a read of this descriptor, with the file's lock held."""
    memory = StalledMemory()
    stalling = threading.Thread(target=os.readv, args=(descriptor, [memory.page]))
    stalling.start()
    memory.wait_for_fault()
    try:
        yield
    finally:
        memory.release()
        stalling.join(10)


def reader(store: MountedStore, name: str) -> Client:
    """A process that reads an entry."""
    client = store.client(
        "import os, sys\n"
        "handle = os.open(sys.argv[1] + '/' + sys.argv[2], os.O_RDONLY)\n"
        "print('open', flush=True)\n"
        "print(os.read(handle, 99), flush=True)\n",
        name,
    )
    assert "open" == next_line(client)
    return client


def files(store: MountedStore) -> dict[str, int]:
    """One of each kind that has a lock, with something to read in it."""
    receiver, sender = socket.socketpair()
    sender.send(b"first")
    pipe_reader, pipe_writer = os.pipe()
    os.write(pipe_writer, b"first")
    for end in (sender.detach(), pipe_writer, pipe_reader):
        store.keep(end)
    with tempfile.TemporaryFile() as file:
        file.write(b"first")
        file.seek(0)
        regular = store.keep(os.dup(file.fileno()))
    return {"pipe": pipe_reader, "socket": store.keep(receiver.detach()), "regular": regular}


@pytest.mark.parametrize("kind", ["pipe", "socket", "regular"])
def test_a_stalled_file_stalls_nobody_else(store: MountedStore, kind: str) -> None:
    """Names, other files and the store itself go on; and who reads the stalled file can be killed."""
    store.stash("x", descriptor := files(store)[kind])
    store.stash("other", store.memfd(b"there"))
    with stalled(descriptor):
        clients = [reader(store, "x") for _ in range(3)]
        other = os.read(store.opened("other"), 9)
        os.mkdir(store.path("box"))
        for client in clients:
            client.send_signal(signal.SIGKILL)
        gone = [client.wait(5) for client in clients]

    assert (b"there", [-signal.SIGKILL] * 3) == (other, gone)
    store.wait_until_holds(handles=1)
