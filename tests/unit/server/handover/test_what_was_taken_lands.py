"""A file that somebody has taken and not received yet is held, and let go of, by the server that has taken over."""

import os
import socket
import time
from collections.abc import Iterator

import pytest

from fdstorefs.core.node import OpenFile
from fdstorefs.server.loop import Loop
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.connection import Connection
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reception import Limits, Most, Reception
from fdstorefs.server.varlink.reply import Landed, Reply, failure
from fdstorefs.server.varlink.sender import Sender

LIMITS = Limits(Most(9, 9), Most(1 << 20, 1 << 20), Most(9, 9), 1024)


class Landing:
    """Notes whether what was taken has arrived."""

    def __init__(self) -> None:
        self.files: list[OpenFile] = []
        self.arrived: list[bool] = []

    def __call__(self, arrived: bool) -> None:
        self.arrived.append(arrived)


class Service:
    """Gives a descriptor to whoever calls."""

    def __init__(self, descriptor: int, landed: Landed) -> None:
        self.descriptor, self.landed = descriptor, landed
        self.failure = failure

    def admits(self, _uid: int) -> bool:
        """Everybody."""
        return True

    def came(self, _connected: socket.socket, _sender: Sender) -> None:
        """Good."""

    def left(self, _sender: Sender) -> None:
        """Good."""

    def answer(self, _message: Message, _sender: Sender) -> Reply:
        """It is long enough to be seen in the queue."""
        return Reply(b"x" * 512 + b"\0", [self.descriptor], lambda: self.landed)

    def discard(self, descriptor: int, _sender: Sender) -> None:
        """Nobody sends any."""

    def waits(self, _descriptor: int) -> None:
        """Nobody sends any."""


class Bench:
    """Two servers, a client that has called the first, and what has been noted of the landing."""

    def __init__(self, path: str) -> None:
        self.loop = Loop()
        self.landing = Landing()
        self.file = os.memfd_create("file")
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        service = Service(self.file, self.landing)
        self.servers = [
            Reception(self.loop, listening, service, Subjects(), LIMITS) for listening in self.sockets[:2]
        ]
        for number, listening in enumerate(self.sockets[:2]):
            listening.bind(f"{path}{number}")
            listening.listen()
        self.servers[0].begin()
        self.client = self.sockets[2]
        self.client.connect(f"{path}0")
        self.client.send(b"{}\0")

    def run_until_sent(self) -> Connection:
        """Until the first server has answered; its end of the connection."""
        first = self.servers[0]
        while not first.clients or not first.clients[0].outbox.flight.count:
            self.loop._turn()
        return first.clients[0]

    def take_over(self, former: Connection) -> Connection:
        """Have the second go on with the connection of the first."""
        self.servers[0].freeze(self.loop.stop)
        self.loop.run()
        again = self.servers[1].let_in_again(
            socket.socket(fileno=os.dup(former.descriptor)), former.sender.held
        )
        again.go_on_with(former.state())
        return again

    def close(self) -> None:
        """End everything."""
        for server in self.servers:
            server.close()
        self.loop.close()
        for each in self.sockets:
            each.close()
        os.close(self.file)


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One."""
    bench = Bench(f"{tmp_path_factory.mktemp('b')}/s")
    yield bench
    bench.close()


def test_it_lands_at_the_other_server(bench: Bench) -> None:
    """Once, when the client has received it, and not before that serves."""
    again = bench.take_over(bench.run_until_sent())
    in_flight = again.outbox.flight.count
    socket.recv_fds(bench.client, 1024, 1)
    for _ in range(2):
        bench.loop.call_at(time.monotonic() + 0.01, bench.loop.stop)
        bench.loop.run()
    before = list(bench.landing.arrived)
    bench.servers[1].begin()
    while not bench.landing.arrived:
        bench.loop._turn()

    assert (1, [], [True]) == (in_flight, before, bench.landing.arrived)


def test_it_lands_at_the_first_that_goes_on(bench: Bench) -> None:
    """As if nothing had been asked."""
    former = bench.run_until_sent()
    bench.servers[0].freeze(bench.loop.stop)
    bench.loop.run()
    former.state()
    socket.recv_fds(bench.client, 1024, 1)
    bench.servers[0].thaw()
    while not bench.landing.arrived:
        bench.loop._turn()

    assert [True] == bench.landing.arrived
