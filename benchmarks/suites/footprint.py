"""Memory and start time: of an entry beyond its descriptor, and of an instance."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.outcome import Outcome, Target
from benchmarks.peers.contestants import FDSTOREFS, S6
from benchmarks.peers.process import Process, memory
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, play

NAME = "memory"
ENTRIES, QUICK_ENTRIES = 10_000, 2000
WARM = 256
INSTANCES = 8

NOTE = (
    "Memory is the proportional set size (PSS) of the server and its children from "
    "/proc/PID/smaps_rollup; that of the kernel for open files is not in it. Per entry: what a fresh "
    "server has grown by after a few hundred stashes and discards to warm up, then so many stashes. "
    "s6-fdholderd has its table from the start, so it grows by less than its table costs. Per instance: "
    "alone, and the mean of eight side by side, which share what processes can share. Start: from the "
    "start of the process to its word that it is ready."
)


def run(plan: Plan) -> Outcome:
    """Bytes per entry, MiB per instance, milliseconds to start; each value is from a fresh server."""
    entries = QUICK_ENTRIES if plan.quick else ENTRIES
    return Outcome(NAME, "Memory and start", play(_contests(entries), plan), [NOTE])


def _contests(entries: int) -> list[Contest]:
    per_entry = Target(1024, "value", (FDSTOREFS,))
    return [
        Contest(
            f"{entries:,} entries, 64 of one open file, each",
            "B",
            {FDSTOREFS: lambda: _grown(_ours, "shared", entries), S6: lambda: _grown(_s6, "shared", entries)},
            target=per_entry,
        ),
        Contest(
            f"{entries:,} entries of a pipe each, each",
            "B",
            {FDSTOREFS: lambda: _grown(_ours, "pipe", entries), S6: lambda: _grown(_s6, "pipe", entries)},
            target=per_entry,
        ),
        Contest(
            "an instance alone", "MiB", {FDSTOREFS: lambda: _weight(_ours, 1), S6: lambda: _weight(_s6, 1)}
        ),
        Contest(
            f"an instance among {INSTANCES}",
            "MiB",
            {FDSTOREFS: lambda: _weight(_ours, INSTANCES), S6: lambda: _weight(_s6, INSTANCES)},
            target=Target(8, "value", (FDSTOREFS,)),
        ),
        Contest(
            "start of an instance",
            "ms",
            {FDSTOREFS: lambda: _start(_ours), S6: lambda: _start(_s6)},
            target=Target(150, "value", (FDSTOREFS,)),
        ),
    ]


def _ours(shop: Workshop) -> tuple[Process, str, Path]:
    instance = shop.instance()
    return instance.process, "fdstorefs_client", instance.socket


def _s6(shop: Workshop) -> tuple[Process, str, Path]:
    socket, process = shop.s6(ENTRIES + WARM)
    return process, "s6_client", socket


Starter = Callable[[Workshop], tuple[Process, str, Path]]


def _grown(start: Starter, kind: str, entries: int) -> float:
    """Bytes for each of so many entries of this kind."""
    with Workshop() as shop:
        process, program, socket = start(shop)
        client = shop.client(program, socket)
        client.fill("stash", kind, entries, WARM)
        client.seconds("discard", WARM, first=entries)
        before = memory(process.pid)
        client.fill("stash", kind, 0, entries)
        return (memory(process.pid) - before) / entries


def _weight(start: Starter, instances: int) -> float:
    """MiB of each of so many servers."""
    with Workshop() as shop:
        processes = [start(shop)[0] for _ in range(instances)]
        return sum(memory(process.pid) for process in processes) / instances / 2**20


def _start(start: Starter) -> float:
    """Milliseconds until a server is ready."""
    with Workshop() as shop:
        return start(shop)[0].seconds_to_ready * 1000
