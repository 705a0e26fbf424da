"""Fixtures: a store whose server can be followed by another.

- `store`: a `Succession`, made by root, open to all users
- `change`: has another server take over; or one is told all and dies, and the first goes on
- `connect`: connects a client to its socket
- `pipe`: both ends of a pipe
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.mount.handover.succession import Succession, start
from tests.mount.varlink.raw_client import RawClient


@pytest.fixture
def store() -> Iterator[Succession]:
    """One store, unmounted after the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting for all users takes root")
    with ExitStack() as stack:
        root = tempfile.mkdtemp(prefix="fdstorefs-handover-")
        stack.callback(os.rmdir, root)
        succession = start(root)
        stack.callback(succession.end)
        yield succession


@pytest.fixture
def connect(store: Succession) -> Iterator[Callable[[], RawClient]]:
    """Connect a client."""
    with ExitStack() as stack:

        def make() -> RawClient:
            client = RawClient(store.socket)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def pipe(store: Succession) -> tuple[int, int]:
    """A pipe: the end to read and the end to write."""
    reader, writer = os.pipe()
    return store.keep(reader), store.keep(writer)


@pytest.fixture(params=["another", "the same"])
def change(request: pytest.FixtureRequest, store: Succession) -> Callable[[], None]:
    """Whoever serves when this has returned, has been told, or has told, how things stand."""

    def make() -> None:
        if request.param == "the same":
            store.fail()
        else:
            store.succeed()

    return make
