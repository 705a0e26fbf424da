"""The kernel leaves descriptors out of a message: that is a denial, and the connection goes on.

Here the receiving socket does what the kernel would: it drops descriptors from one on, and says that it did.
"""

import array
import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fdstorefs
from fdstorefs.client import aio, aio_connection, connection
from fdstorefs.client.address import open_socket
from fdstorefs.errors import Denied
from tests.mount.instance import Instance
from tests.mount.open_files import open_files

NAMES = ["a", "b", "c"]


class Kernel(socket.socket):
    """A socket whose kernel delivers `allowed` descriptors of each message, or all."""

    allowed: int | None = None

    def recvmsg(self, *arguments: Any) -> Any:
        """As the kernel: it stops at the first that a policy refuses."""
        data, ancillary, flags, address = super().recvmsg(*arguments)
        if self.allowed is None or not ancillary:
            return data, ancillary, flags, address
        numbers = array.array("i", ancillary[0][2])
        for number in numbers[self.allowed :]:
            os.close(number)
        kept = [(*ancillary[0][:2], numbers[: self.allowed].tobytes())] if self.allowed else []
        return data, kept, flags | socket.MSG_CTRUNC, address


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """The sockets that clients open."""
    made: list[Kernel] = []

    def open_one(mount: str) -> Kernel:
        made.append(Kernel(fileno=open_socket(mount).detach()))
        return made[-1]

    monkeypatch.setattr(connection, "open_socket", open_one)
    monkeypatch.setattr(aio_connection, "open_socket", open_one)
    return made


@pytest.fixture
def full(instance: Instance, kernels: list[Kernel]) -> Iterator[fdstorefs.Store]:
    """A store with three entries."""
    file = os.memfd_create("x")
    with fdstorefs.connect(instance.mount) as store:
        store.stash_many(dict.fromkeys(NAMES, file))
        os.close(file)
        yield store


CALLS: dict[str, tuple[Callable[[fdstorefs.Store], object], int, str]] = {
    "retrieve": (lambda store: store.retrieve("a"), 0, "a"),
    "retrieve many": (lambda store: store.retrieve_many(NAMES), 1, "b"),
    "retrieve many, none": (lambda store: store.retrieve_many(NAMES), 0, "a"),
    "retrieve many, all but one": (lambda store: store.retrieve_many(NAMES), 2, "c"),
    "take": (lambda store: store.take("a"), 0, "a"),
    "take many": (lambda store: store.take_many(NAMES), 2, "c"),
}


@pytest.mark.parametrize("call", CALLS)
def test_it_is_denied_and_the_store_can_be_used_on(
    full: fdstorefs.Store, kernels: list[Kernel], call: str
) -> None:
    """The first one left out is named, those that arrived are closed, and the next call has its own reply."""
    ask, allowed, name = CALLS[call]
    before = open_files()
    kernels[0].allowed = allowed
    with pytest.raises(Denied, match=f"the kernel refused to deliver `{name}`") as raised:
        ask(full)
    kernels[0].allowed = None

    assert (3, name, before) == (raised.value.exit_code, raised.value.name, open_files())
    assert full.status().mount == full.mount
    assert 1 == len(kernels)


def test_asyncio_as_well(instance: Instance, kernels: list[Kernel], full: fdstorefs.Store) -> None:
    """With the same error, and on the same connection."""

    async def refused_then_not() -> list[str]:
        async with await aio.connect(instance.mount) as store:
            kernels[-1].allowed = 1
            with pytest.raises(Denied, match="the kernel refused to deliver `b`"):
                await store.retrieve_many(NAMES)
            kernels[-1].allowed = None
            got = await store.retrieve_many(NAMES)
            for retrieved in got.values():
                retrieved.close()
            return list(got)

    before = open_files()

    assert NAMES == asyncio.run(refused_then_not())
    assert (2, before) == (len(kernels), open_files())
