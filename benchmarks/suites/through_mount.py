"""Operations on the mounted directory, by one C client."""

import itertools
from collections.abc import Mapping

from benchmarks.outcome import Outcome
from benchmarks.peers.client import Client
from benchmarks.peers.contestants import BARE, FDSTOREFS, TMPFS
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play

NAME = "filesystem"
ENTRIES = 1000
BATCH, LISTS = 192, 2

NOTE = (
    "Microseconds per operation (per listing for `readdir`). In the store the entries are open /dev/zero,"
    ' elsewhere files of a few bytes. `create` is what `echo N >name` does (create, write "N\\n", close), '
    "which stashes a memfd in the store and writes two or three bytes elsewhere; `unlink` discards it. "
    "The bare file system is pyfuse3 with trio, in memory, without any checks."
)

Clients = Mapping[str, Client]
_fresh = itertools.count(1_000_000, 1000)


def run(plan: Plan) -> Outcome:
    """The store beside a bare pyfuse3 file system and tmpfs."""
    with Workshop() as shop:
        rows = play(_contests(_clients(shop)), plan)
    return Outcome(NAME, "Through the file system", rows, [NOTE])


def _clients(shop: Workshop) -> Clients:
    places = {FDSTOREFS: shop.instance().mount, BARE: shop.bare_mount(), TMPFS: shop.tmpfs()}
    clients = {name: shop.client("mount_client", place) for name, place in places.items()}
    for client in clients.values():
        client.fill("create", "zero", 0, ENTRIES)
    return clients


def _contests(clients: Clients) -> list[Contest]:
    return [
        Contest("stat", "us", _each(clients, "stat", BATCH), BARE),
        Contest("open, read a byte, close", "us", _each(clients, "read", BATCH), BARE),
        Contest("create with a number", "us", {name: _create(one) for name, one in clients.items()}, BARE),
        Contest("unlink", "us", {name: _unlink(one) for name, one in clients.items()}, BARE),
        Contest("readdir of 1000", "us", _each(clients, "readdir", LISTS), BARE),
    ]


def _each(clients: Clients, op: str, count: int) -> dict[str, Run]:
    return {name: _plain(client, op, count) for name, client in clients.items()}


def _plain(client: Client, op: str, count: int) -> Run:
    return lambda: client.microseconds(op, count, span=ENTRIES)


def _create(client: Client) -> Run:
    def timed() -> float:
        first = next(_fresh)
        taken = client.microseconds("create", BATCH, kind="memfd", first=first)
        client.seconds("unlink", BATCH, first=first)
        return taken

    return timed


def _unlink(client: Client) -> Run:
    def timed() -> float:
        first = next(_fresh)
        client.seconds("create", BATCH, kind="memfd", first=first)
        return client.microseconds("unlink", BATCH, first=first)

    return timed
