"""Fixtures for a store behind a mount.

- `store`: a `MountedStore`, made by root, open to all users
- `make_store(*arguments)`: more of them, with a limit of entries and of descriptors
- `errno_of(function, *arguments)`: the errno that a call fails with, or 0
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

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
            stack.callback(store.end)
            return store

        yield make


@pytest.fixture
def store(make_store: Callable[..., MountedStore]) -> MountedStore:
    """One store."""
    return make_store()


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
