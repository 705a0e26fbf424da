"""What it costs to have many entries: the same calls on stores of different sizes, all alive at once."""

import itertools
import resource
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.outcome import Outcome, Row
from benchmarks.peers.client import Client
from benchmarks.peers.contestants import FDSTOREFS, S6
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play
from benchmarks.spread import Spread, spread

NAME = "entries"
SIZES = (10, 100, 1000, 10_000, 100_000)
QUICK_SIZES = (10, 1000, 4000)
RESERVE = 1_600
"""Descriptors of a server's limit left for what is not an entry, and for what is stashed to be measured."""

BATCH, NEW = 192, 64

NOTE = (
    "Entries are different memfds, visited all over the store; the largest number is what the descriptor "
    "limit allows. In the rows that compare a store with itself, the peer is the smallest. All eventfds "
    "have one inode, so only kcmp(2) tells them apart: the row about them shows what that costs."
)

_fresh = itertools.count(1_000_000, 1000)


@dataclass(frozen=True, slots=True)
class Sized:
    """A store with so many entries."""

    entries: int
    ours: Client
    mounted: Client
    s6: Client


def run(plan: Plan) -> Outcome:
    """Retrieve, stash and list against the number of entries."""
    with Workshop() as shop:
        stores = [_filled(shop, size) for size in sizes(_limit(), quick=plan.quick)]
        eventfds = _eventfds(shop, stores)
        rows = play(_contests(stores, eventfds), plan)
    return Outcome(NAME, "Against the number of entries", _by_size(rows[0], stores) + rows[1:], [NOTE])


def sizes(limit: int, *, quick: bool) -> list[int]:
    """Numbers of entries to measure, up to what a descriptor limit allows."""
    most = limit - RESERVE
    return [size for size in SIZES if size < most] + [most] if not quick else list(QUICK_SIZES)


def _limit() -> int:
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], max(SIZES))


def _filled(shop: Workshop, size: int) -> Sized:
    instance = shop.instance()
    socket, _ = shop.s6(size + NEW)
    ours, s6 = shop.client("fdstorefs_client", instance.socket), shop.client("s6_client", socket)
    for client in (ours, s6):
        client.fill("stash", "memfd", 0, size)
    return Sized(size, ours, shop.client("mount_client", instance.mount), s6)


def _eventfds(shop: Workshop, stores: list[Sized]) -> dict[int, Client]:
    """Two stores of nothing but eventfds, a small one and a large one."""
    chosen = {}
    for size in (stores[0].entries, stores[-1].entries):
        chosen[size] = shop.client("fdstorefs_client", shop.instance().socket)
        chosen[size].fill("stash", "eventfd", 0, size)
    return chosen


def _contests(stores: list[Sized], eventfds: dict[int, Client]) -> list[Contest]:
    def flat(operation: str, unit: str, run: Callable[[Sized], Run]) -> Contest:
        return Contest(
            operation, unit, {_label(s.entries): run(s) for s in stores}, _label(stores[0].entries)
        )

    retrieve: dict[str, Run] = {}
    for store in stores:
        retrieve[_key(FDSTOREFS, store.entries)] = _retrieve(store.ours, store.entries)
        retrieve[_key(S6, store.entries)] = _retrieve(store.s6, store.entries)
    kinds = {_label(size): _stash(client, "eventfd") for size, client in eventfds.items()}
    return [
        Contest("retrieve", "us", retrieve),
        flat("stash a memfd", "us", lambda store: _stash(store.ours, "memfd")),
        Contest("stash an eventfd among eventfds", "us", kinds, _label(stores[0].entries)),
        flat("list, per entry", "us", lambda store: _list(store.ours, "list", store.entries)),
        flat("readdir, per entry", "us", lambda store: _list(store.mounted, "readdir", store.entries)),
    ]


def _label(size: int) -> str:
    return f"{size:,} entries"


def _key(store: str, size: int) -> str:
    return f"{store} {size}"


def _by_size(row: Row, stores: list[Sized]) -> list[Row]:
    """The retrieves, first beside s6 of the same size, then beside the smallest store."""
    beside = [
        Row(
            f"retrieve of {store.entries:,}",
            row.unit,
            {name: row.series[_key(name, store.entries)] for name in (FDSTOREFS, S6)},
            S6,
        )
        for store in stores
    ]
    own = {_label(store.entries): row.series[_key(FDSTOREFS, store.entries)] for store in stores}
    return [*beside, Row("retrieve", row.unit, own, _label(stores[0].entries))]


def _retrieve(client: Client, size: int) -> Run:
    return lambda: client.microseconds("retrieve", BATCH, span=size)


def _stash(client: Client, kind: str) -> Run:
    def timed() -> float:
        first = next(_fresh)
        taken = client.microseconds("stash", NEW, kind=kind, first=first)
        client.seconds("discard", NEW, first=first)
        return taken

    return timed


def _list(client: Client, op: str, size: int) -> Run:
    return lambda: client.microseconds(op, 1, span=size) / size


def curves(outcome: Outcome) -> dict[str, dict[int, Spread]]:
    """Retrieves a second for the plot: by store, by number of entries."""
    found: dict[str, dict[int, Spread]] = {FDSTOREFS: {}, S6: {}}
    for row in outcome.rows:
        if row.peer == S6:
            size = int(row.operation.removeprefix("retrieve of ").replace(",", ""))
            for name, values in row.series.items():
                found[name][size] = spread([1e6 / value for value in values])
    return found
