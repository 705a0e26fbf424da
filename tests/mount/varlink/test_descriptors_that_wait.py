"""The kernel withholds what a guarded instance receives until it is told better; so it is told of what has to wait."""

import os

import pytest

from tests.mount.varlink.conftest import Connect
from tests.mount.varlink.raw_client import RawClient, encode
from tests.mount.varlink.served_store import ServedStore
from tests.mount.waiting import wait_for

PATIENCE = 20.0
STASH = encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0}]})


@pytest.fixture
def unkept(served: ServedStore) -> list[int]:
    """The inodes of what the store says that it does not keep."""
    told: list[int] = []
    served.context.intake.unkept = lambda descriptor: told.append(os.fstat(descriptor).st_ino)
    return told


def settle(served: ServedStore, connect: Connect) -> None:
    """Have the server see what was sent by now."""
    connect()
    served.ask(lambda: None)


def test_those_of_half_a_message(
    served: ServedStore, client: RawClient, connect: Connect, some_file: int, unkept: list[int]
) -> None:
    """Told of once, however long the rest takes, which is a call like others when it comes."""
    inode = os.fstat(some_file).st_ino
    client.send(STASH[:-1], [some_file])
    wait_for(lambda: unkept == [inode], PATIENCE, "what waits to be told of")
    client.send(STASH[-1:])

    assert 1 == len(client.reply()["ids"])
    settle(served, connect)
    assert [inode] == unkept


def test_those_behind_a_call_that_goes_on(
    served: ServedStore, client: RawClient, some_file: int, unkept: list[int]
) -> None:
    """A watch ends when its client wants it to, and until then nothing more is served."""

    def send_together() -> None:
        client.send(encode("Watch", {}, more=True))
        client.send(STASH, [some_file])

    served.ask(send_together)

    wait_for(lambda: unkept == [os.fstat(some_file).st_ino], PATIENCE, "what waits to be told of")


def test_those_of_many_calls_at_once_are_served(
    served: ServedStore, client: RawClient, connect: Connect, some_file: int, unkept: list[int]
) -> None:
    """A turn later, so nobody is told of them."""

    def send_together() -> None:
        for _ in range(9):
            client.send(encode("Status"))
        client.send(STASH, [some_file])

    served.ask(send_together)
    for _ in range(9):
        client.reply()

    assert 1 == len(client.reply()["ids"])
    settle(served, connect)
    assert [] == unkept
