"""A landing: what is to be done once a client has received everything, and whether it is certain that it has."""

import socket
from collections.abc import Iterator

import pytest

from fdstorefs.core.node import OpenFile
from fdstorefs.server.loop import Loop
from fdstorefs.server.varlink.flight import Flight, bounds
from fdstorefs.server.varlink.landing import Landing

PACKET = b"x" * 512


class Ends:
    """A connection with something under way, and the loop that looks after it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.near, self.far = socket.socketpair()
        self.flight = Flight(self.near, bounds(1024), 0, lambda: ())
        self.landed: list[bool] = []
        self.files: list[OpenFile] = []
        self.near.send(PACKET)
        self.flight.sent(1)

    def __call__(self, arrived: bool) -> None:
        """What is done."""
        self.landed.append(arrived)
        self.loop.stop()


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Both."""
    ends = Ends()
    yield ends
    ends.near.close()
    ends.far.close()
    ends.loop.close()


def test_it_is_done_when_all_is_received(ends: Ends) -> None:
    """Once, and not before."""
    landing = Landing(ends.loop, ends.flight, ends)
    looks = [False]

    def receive() -> None:
        looks[0] = landing.is_over
        ends.far.recv(1024)

    ends.loop.call_soon(receive)
    ends.loop.run()
    landing.close()

    assert ([False], [True], True) == (looks, ends.landed, landing.is_over)


def test_what_may_still_be_received_has_not_arrived(ends: Ends) -> None:
    """The connection ends on our side, and what was sent is still there for the client."""
    landing = Landing(ends.loop, ends.flight, ends)
    landing.close()

    assert [False] == ends.landed


def test_what_the_client_left_behind_is_gone(ends: Ends) -> None:
    """When it ends without reading, the kernel throws it away."""
    landing = Landing(ends.loop, ends.flight, ends)
    ends.far.close()
    landing.close()

    assert [True] == ends.landed
