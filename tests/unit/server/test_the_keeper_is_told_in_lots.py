"""However much is let go of at once, the keeper hears of all of it."""

import os
import socket
from collections.abc import Iterator

import pytest

from fdstorefs.keeper import wire
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.wire import Message, Verb
from fdstorefs.server.keeper_line import KeeperLine

Ends = tuple[KeeperLine, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A server's line, and the keeper's end of it."""
    ours, its = wire.line()
    line = KeeperLine(Held(ours.detach(), os.getpid(), {}, None, {}, (), (), 0, 0.0, "", False), None)
    with its:
        yield line, its
    line._socket.close()
    os.close(line._pidfd)


def heard(its: socket.socket) -> list[Message]:
    """All that is there at this moment."""
    messages = []
    while True:
        try:
            message = wire.receive(its)
        except BlockingIOError:
            return messages
        assert message is not None
        messages.append(message)


@pytest.mark.parametrize("count", [1, 1024, 1025, 40_000, 60_000, 80_000])
@pytest.mark.parametrize("slow", [True, False])
def test_as_many_as_there_may_ever_be(ends: Ends, count: int, slow: bool) -> None:
    """Each once, and then what comes after it: not one message is too long to be sent or to be understood."""
    line, its = ends
    line.drop(range(1, count + 1), slow)
    line.drop([0])
    told = []
    while new := heard(its):
        told += new
        line._say_later_things()

    numbers = [number for message in told for number in message.numbers]
    assert (count + 1, 0) == (len(numbers), len(set(range(count + 1)).difference(numbers)))
    assert {Verb.DROP_SLOW if slow else Verb.DROP} == {message.verb for message in told[:-1]}
