"""The choice of the event loop: the same echo server of descriptors on each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Outcome
from benchmarks.peers.client import Client
from benchmarks.peers.contestants import FLOOR
from benchmarks.peers.process import Process, processor_seconds
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play

NAME = "loops"
BARE_EPOLL = "epoll"
SERVERS = {
    BARE_EPOLL: ("epoll_echo",),
    "epoll, spinning": ("epoll_echo", "fixed"),
    "epoll, spinning while it pays": ("epoll_echo", "adaptive"),
    "asyncio, callbacks": ("asyncio_echo", "callbacks"),
    "asyncio, coroutines": ("asyncio_echo", "coroutines"),
    "trio": ("trio_echo",),
}
BATCH, PACED = 400, 100

NOTE = (
    "Microseconds for a request of two bytes and its answer with one descriptor, by a C client; `with "
    "pauses` has 0.5 ms between an answer and the next request. Processor time is the server's, measured "
    "by the scheduler. Spinning looks for up to 50 us for the next request before it sleeps: a client "
    "that asks again at once saves the wake-up, one that pauses costs those 50 us of processor time for "
    "nothing, unless the server notices."
)


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo server and a client that is connected to it."""

    process: Process
    client: Client


def run(plan: Plan) -> Outcome:
    """Round trips and processor time, each loop beside bare epoll."""
    with Workshop() as shop:
        servers = {name: _started(shop, module, *kind) for name, (module, *kind) in SERVERS.items()}
        floor = shop.client("floor", "client", shop.floor())
        rows = play(_contests(servers, floor), plan)
    return Outcome(NAME, "Event loops", rows, [NOTE])


def _started(shop: Workshop, module: str, *kind: str) -> Echo:
    socket = shop.path("s")
    command: list[str | Path] = [sys.executable, "-m", f"benchmarks.loops.{module}", socket, *kind]
    process = shop.keep(Process(command, shop.path("said")))
    return Echo(process, shop.client("floor", "client", socket))


def _contests(servers: Mapping[str, Echo], floor: Client) -> list[Contest]:
    def each(operation: str, make: "type[_Timed] | type[_Charged]", op: str, count: int) -> Contest:
        runs: dict[str, Run] = {name: make(echo, op, count) for name, echo in servers.items()}
        return Contest(operation, "us", runs, BARE_EPOLL)

    trip = each("round trip", _Timed, "retrieve", BATCH)
    with_floor = {**trip.runs, FLOOR: lambda: floor.microseconds("retrieve", BATCH)}
    return [
        Contest(trip.operation, trip.unit, with_floor, trip.peer),
        each("round trip with pauses", _Timed, "paced", PACED),
        each("processor time", _Charged, "retrieve", BATCH),
        each("processor time with pauses", _Charged, "paced", PACED),
    ]


@dataclass(frozen=True, slots=True)
class _Timed:
    """Runs a batch: what the client waited."""

    echo: Echo
    op: str
    count: int

    def __call__(self) -> float:
        return self.echo.client.microseconds(self.op, self.count)


@dataclass(frozen=True, slots=True)
class _Charged:
    """Runs a batch: what the server computed."""

    echo: Echo
    op: str
    count: int

    def __call__(self) -> float:
        before = processor_seconds(self.echo.process.pid)
        self.echo.client.microseconds(self.op, self.count)
        return (processor_seconds(self.echo.process.pid) - before) / self.count * 1e6
