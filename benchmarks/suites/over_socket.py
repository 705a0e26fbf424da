"""Calls over the socket, on connections that stay open."""

import itertools
from collections.abc import Mapping

from benchmarks.outcome import Outcome, Target
from benchmarks.peers.client import Client
from benchmarks.peers.contestants import C_CLIENT, FLOOR, OUR_CLIENTS, PYTHON_CLIENT, S6, S6_DUMP
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play

NAME = "socket"
ENTRIES = 1000
DUMPED = 250
SINGLE, MANY, LISTS = 192, 640, 2
"""Operations of a batch: one descriptor a call, 64 a call, listings."""

NOTE = (
    "Microseconds per descriptor (per listing for `list`). Every store holds 1000 entries. `retrieve` "
    "includes the close of what came. The C floor is a C server that knows no names: it takes or sends "
    "descriptors and answers. s6-fdholder has no call for a chosen few, so 64 a call stand beside its "
    "single calls and a dump of everything from one that holds 250 (it cannot dump more than 253)."
)

Clients = Mapping[str, Client]
_fresh = itertools.count(1_000_000, 1000)


def run(plan: Plan) -> Outcome:
    """Stash, retrieve, discard and list, ours beside s6 and the floor."""
    with Workshop() as shop:
        rows = play(_contests(_clients(shop)), plan)
    return Outcome(NAME, "Calls over the socket", rows, [NOTE])


def _clients(shop: Workshop) -> Clients:
    instance = shop.instance()
    socket, _ = shop.s6(ENTRIES + 1000)
    clients = {
        C_CLIENT: shop.client("fdstorefs_client", instance.socket),
        PYTHON_CLIENT: shop.python_client(instance.mount),
        S6: shop.client("s6_client", socket),
        FLOOR: shop.client("floor", "client", shop.floor()),
    }
    for name in (C_CLIENT, S6):
        clients[name].fill("stash", "memfd", 0, ENTRIES)
    return {**clients, S6_DUMP: _dumped(shop)}


def _dumped(shop: Workshop) -> Client:
    """A second s6-fdholderd, with no more entries than it can dump: with 254 and more it hangs up."""
    socket, _ = shop.s6(ENTRIES)
    client = shop.client("s6_client", socket)
    client.fill("stash", "memfd", 0, DUMPED)
    return client


def _contests(clients: Clients) -> list[Contest]:
    all_names = (*OUR_CLIENTS, S6, FLOOR)
    stores = (*OUR_CLIENTS, S6)
    return [
        Contest(
            "retrieve",
            "us",
            {name: _retrieve(clients[name], "retrieve", SINGLE) for name in all_names},
            S6,
            Target(1.0, "ratio", OUR_CLIENTS),
        ),
        Contest("retrieve, 64 a call", "us", _retrieve_many(clients), S6, Target(0.1, "ratio", OUR_CLIENTS)),
        Contest(
            "stash a memfd",
            "us",
            {name: _stash(clients[name], "stash", "memfd", SINGLE) for name in all_names},
            S6,
            Target(0.3, "ratio", OUR_CLIENTS),
        ),
        Contest(
            "stash a listening socket",
            "us",
            {name: _stash(clients[name], "stash", "tcp", SINGLE) for name in all_names},
            S6,
            Target(0.3, "ratio", OUR_CLIENTS),
        ),
        Contest("stash, 64 a call", "us", _stash_many(clients), S6),
        Contest("discard", "us", {name: _discard(clients[name]) for name in all_names}, S6),
        Contest("list of 1000", "us", {name: _list(clients[name], "list") for name in stores}, S6),
        Contest("list of 1000 with details", "us", _list_details(clients), S6),
    ]


def _retrieve(client: Client, op: str, count: int) -> Run:
    return lambda: client.microseconds(op, count, span=ENTRIES)


def _retrieve_many(clients: Clients) -> dict[str, Run]:
    return {
        **{name: _retrieve(clients[name], "retrieve64", MANY) for name in OUR_CLIENTS},
        S6: _retrieve(clients[S6], "retrieve", SINGLE),
        S6_DUMP: lambda: clients[S6_DUMP].microseconds("dump", DUMPED),
        FLOOR: _retrieve(clients[FLOOR], "retrieve64", MANY),
    }


def _stash(client: Client, op: str, kind: str, count: int) -> Run:
    def timed() -> float:
        first = next(_fresh)
        taken = client.microseconds(op, count, kind=kind, first=first)
        client.seconds("discard", count, first=first)
        return taken

    return timed


def _stash_many(clients: Clients) -> dict[str, Run]:
    return {
        **{name: _stash(clients[name], "stash64", "memfd", SINGLE) for name in OUR_CLIENTS},
        S6: _stash(clients[S6], "stash", "memfd", SINGLE),
        FLOOR: _stash(clients[FLOOR], "stash64", "memfd", SINGLE),
    }


def _discard(client: Client) -> Run:
    def timed() -> float:
        first = next(_fresh)
        client.seconds("stash", SINGLE, kind="memfd", first=first)
        return client.microseconds("discard", SINGLE, first=first)

    return timed


def _list(client: Client, op: str) -> Run:
    return lambda: client.microseconds(op, LISTS, span=ENTRIES)


def _list_details(clients: Clients) -> dict[str, Run]:
    return {**{name: _list(clients[name], "details") for name in OUR_CLIENTS}, S6: _list(clients[S6], "list")}
