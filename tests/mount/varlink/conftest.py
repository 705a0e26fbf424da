"""Fixtures: a served store and clients of it, checked afterwards for descriptors that leaked."""

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fdstorefs.server.varlink.peer import kernel_knows_peer_pidfds
from tests.mount.open_files import open_files
from tests.mount.varlink.raw_client import RawClient
from tests.mount.varlink.served_store import ServedStore

Serve = Callable[..., ServedStore]
Connect = Callable[[], RawClient]


def open_descriptors() -> int:
    """How many descriptors this process, server included, has open."""
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def nothing_leaks() -> Iterator[None]:
    """Fail if the process has descriptors open after the test that it did not have before."""
    kernel_knows_peer_pidfds()
    gc.collect()
    before = open_files()
    yield
    gc.collect()

    assert open_files() - before == set(), "descriptors left open"


@pytest.fixture
def start(nothing_leaks: None) -> Iterator[Serve]:
    """Start a served store; options as for ServedStore."""
    with ExitStack() as stack:

        def serve(**options: Any) -> ServedStore:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="fdstorefs-"))
            os.chmod(directory, 0o755)
            served = ServedStore(f"{directory}/.fdstore", **options)
            stack.callback(served.close)
            return served

        yield serve


@pytest.fixture
def served(start: Serve) -> ServedStore:
    """A served store."""
    return start()


@pytest.fixture
def connect(served: ServedStore) -> Iterator[Connect]:
    """Connect a client to `served`."""
    with ExitStack() as stack:

        def make() -> RawClient:
            client = RawClient(served.path)
            stack.callback(client.close)
            # So that it has been accepted, and a test counts the same descriptors whenever it looks.
            client.call("Status")
            return client

        yield make


@pytest.fixture
def client(connect: Connect) -> RawClient:
    """A client of `served`."""
    return connect()


@pytest.fixture
def some_file() -> Iterator[int]:
    """A descriptor of a file of no importance."""
    descriptor = os.memfd_create("some")
    yield descriptor
    os.close(descriptor)
