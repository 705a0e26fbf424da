"""Entries that go by themselves, while clients never rest: how late each goes, by the server's own record."""

import json
import os
import random
import signal
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fdstorefs
from benchmarks.outcome import Outcome, Row, Target
from benchmarks.peers.contestants import FDSTOREFS
from benchmarks.peers.process import Failed
from benchmarks.peers.workshop import Instance, Workshop
from benchmarks.rounds import Plan

NAME = "lapses"
STANDING, QUICK_STANDING = 1000, 100
CLIENTS = 8
SOONEST_SECONDS, LATEST_SECONDS = 0.2, 1.0
LAST_WORD_SECONDS = 10

NOTE = (
    "Beside 1,000 entries that stay, eight clients, each a process, stash, retrieve and discard without a pause; two "
    "processors have all that to do. Expiry: from the time that an entry was given (0.2 to 1 s after it was stashed) "
    "until the server has taken it away, as the audit log has it. Nobody gets it in between, however late it goes. "
    "Hang-up: from the moment before the other end of a stored socket is closed until the server has taken the entry "
    "away. One entry after the other goes."
)


def run(plan: Plan) -> Outcome:
    """Have so many entries of both kinds go, under load, and read how late they went."""
    with Workshop() as shop:
        log = shop.path("audit")
        instance = shop.instance(["--audit", f"file:{log}"])
        _fill(instance, QUICK_STANDING if plan.quick else STANDING)
        with _load(instance):
            due = _expire(instance, plan.rounds)
            hung_up = _hang_up(instance, plan.rounds)
        rows = [
            *_rows("expiry", _late(log, "expired", due)),
            *_rows("eviction on hang-up", _late(log, "evicted", hung_up)),
        ]
    return Outcome(NAME, f"{plan.rounds} entries of each kind that go by themselves", rows, [NOTE])


def _rows(what: str, late: list[float]) -> list[Row]:
    ordered = sorted(late)
    most = ordered[len(ordered) * 99 // 100]
    return [
        Row(f"{what}, late by", "ms", {FDSTOREFS: late}),
        Row(f"{what}, 99 of 100 within", "ms", {FDSTOREFS: [most]}, target=Target(10, "value", (FDSTOREFS,))),
    ]


def _fill(instance: Instance, standing: int) -> None:
    with fdstorefs.connect(str(instance.mount)) as store:
        for number in range(standing):
            file = os.memfd_create("stays")
            store.stash(f"stays{number}", file)
            os.close(file)


@contextmanager
def _load(instance: Instance) -> Iterator[None]:
    clients = [_client(str(instance.mount), number) for number in range(CLIENTS)]
    try:
        yield
        _check_that_all_live(clients)
    finally:
        for client in clients:
            os.kill(client, signal.SIGKILL)
            os.waitpid(client, 0)


def _client(mount: str, number: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _never_rest(mount, f"busy{number}")
    except Exception:  # noqa: BLE001  whatever it is, this process must not go on as its parent would
        traceback.print_exc()
    os._exit(1)


def _never_rest(mount: str, name: str) -> None:
    with fdstorefs.connect(mount) as store:
        while True:
            file = os.memfd_create(name)
            store.stash(name, file)
            os.close(file)
            store.retrieve(name).close()
            store.discard(name)


def _check_that_all_live(clients: list[int]) -> None:
    for client in clients:
        if os.waitid(os.P_PID, client, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            raise Failed("a client that makes the load has ended")


def _expire(instance: Instance, count: int) -> dict[str, int]:
    """Names, and when each is due, in ns since boot."""
    due = {}
    with fdstorefs.connect(str(instance.mount)) as store, store.watch("due*") as watch:
        for number in range(count):
            file = os.memfd_create("due")
            name = f"due{number}"
            store.stash(name, file, expires=random.uniform(SOONEST_SECONDS, LATEST_SECONDS))
            os.close(file)
            due[name] = store.describe(name).entry.expires - time.time_ns() + _now()
            if number % CLIENTS == CLIENTS - 1:
                _await(watch, "expired", name)
        _await_none_left(store, "due*")
    return due


def _hang_up(instance: Instance, count: int) -> dict[str, int]:
    """Names, and when the other end of each was closed, in ns since boot."""
    closed = {}
    with fdstorefs.connect(str(instance.mount)) as store, store.watch("peer*") as watch:
        for number in range(count):
            ours, stored = socket.socketpair()
            name = f"peer{number}"
            store.stash(name, stored)
            stored.close()
            time.sleep(random.uniform(0, 0.01))
            closed[name] = _now()
            ours.close()
            _await(watch, "evicted", name)
    return closed


def _await(watch: fdstorefs.Watch, change: str, name: str) -> None:
    until = time.monotonic() + LAST_WORD_SECONDS
    while (told := watch.wait(max(until - time.monotonic(), 0))) is not None:
        if told.change == change and told.entry is not None and told.entry.name == name:
            return
    raise Failed(f"`{name}` is still there {LAST_WORD_SECONDS} s after it should have gone")


def _await_none_left(store: fdstorefs.Store, pattern: str) -> None:
    until = time.monotonic() + LAST_WORD_SECONDS
    while left := store.list(pattern):
        if time.monotonic() > until:
            raise Failed(f"`{left[0].name}` is still there")


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _late(log: Path, kind: str, since: dict[str, int]) -> list[float]:
    """How late each went, in ms."""
    until = time.monotonic() + LAST_WORD_SECONDS
    while True:
        records = [
            json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]
        late = [
            (record["boottime"] - since[record["entry"]["name"]]) / 1e6
            for record in records
            if record["type"] == kind
        ]
        if len(late) == len(since):
            return late
        if time.monotonic() > until:
            raise Failed(f"{len(late)} of {len(since)} entries are on record as {kind}")
