"""Fixtures for a store behind a mount.

- `store`: a `MountedStore`, made by root, open to all users
- `make_store(*arguments)`: more of them, with a limit of entries and of descriptors
- `errno_of(function, *arguments)`: the errno that a call fails with, or 0
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fdstorefs.host import syscalls
from tests.mount.fuse.mounted_store import MountedStore, start


@pytest.fixture
def make_store() -> Iterator[Callable[..., MountedStore]]:
    """Start stores; each is unmounted after the test, with its clients killed."""
    if os.geteuid() != 0:
        pytest.skip("mounting for all users takes root")
    with ExitStack() as stack:

        def make(*arguments: object) -> MountedStore:
            root = tempfile.mkdtemp(prefix="fdstorefs-fuse-")
            stack.callback(os.rmdir, root)
            store = start(root, *arguments)
            stack.callback(_end, store)
            return store

        yield make


@pytest.fixture
def store(make_store: Callable[..., MountedStore]) -> MountedStore:
    """One store."""
    return make_store()


def _end(store: MountedStore) -> None:
    for client in store.clients:
        client.kill()
        client.wait(10)
        for stream in (client.stdin, client.stdout):
            if stream is not None:
                stream.close()
    if store._process.poll() is None:
        _take_away(store)
    for stream in (store._process.stdin, store._process.stdout):
        if stream is not None:
            stream.close()


def _take_away(store: MountedStore) -> None:
    syscalls.umount2(store.root, syscalls.MNT_DETACH)
    try:
        store._process.wait(5)
    except subprocess.TimeoutExpired:
        store._process.send_signal(signal.SIGKILL)
        store._process.wait(5)


@pytest.fixture
def errno_of() -> Callable[..., int]:
    """Call a function and return the errno that it fails with, 0 if it doesn't."""

    def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> int:
        try:
            function(*arguments, **options)
        except OSError as error:
            assert error.errno is not None
            return error.errno
        return 0

    return call


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read and the end to write."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it
