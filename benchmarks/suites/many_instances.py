"""Hundreds of instances for containers on one host: what one costs, and what all cost that nobody uses."""

import subprocess
import sys
import time

from benchmarks.outcome import Outcome, Row, Target
from benchmarks.peers.contestants import FDSTOREFS
from benchmarks.peers.hosted import Hosted, pair, switches
from benchmarks.peers.process import ROOT, Failed, memory_of, processor_seconds
from benchmarks.rounds import Plan

NAME = "instances"
INSTANCES, QUICK_INSTANCES = 200, 20
IDLE_SECONDS, QUICK_IDLE_SECONDS = 30, 3
SETTLED_SECONDS = 12
"""A server's idle threads have ended by then."""

NOTE = (
    "Instances that `fdstorefs host` starts, one after the other, each for a container: a user, mount and pid "
    "namespace with one process, which sleeps. Start: from the request until the instance serves; what "
    "the machine does besides (`load`) is in it. The mean processor time of a start is that of service, keeper and "
    "server, without the short-lived processes that mount for them. Memory: the "
    "proportional set size (PSS) of server and keeper with all instances there, what they share divided among those "
    "who share it; the kernel's own is not in it. Wake-ups are context switches of all processes, the service's, too, "
    "while nobody uses them. The listing is by root, `fdstorefs instances` as a whole. End: from the end of the "
    "container until neither process is left."
)


def run(plan: Plan) -> Outcome:
    """Start them all, look at them, let them be, list them, end them."""
    wanted = QUICK_INSTANCES if plan.quick else INSTANCES
    idle = QUICK_IDLE_SECONDS if plan.quick else IDLE_SECONDS
    with Hosted(wanted) as hosted:
        before = hosted.processor_seconds
        starts = [hosted.start() * 1000 for _ in range(wanted)]
        spent = hosted.processor_seconds - before
        rows = [
            _row("start of an instance", "ms", starts, 150),
            _row("start, 95 of 100 within", "ms", [sorted(starts)[wanted * 95 // 100]]),
            _row("processor time of a start", "ms", [spent / wanted * 1000]),
            *_memory(hosted),
            *_idle(hosted, idle),
            _row(f"`fdstorefs instances`, of {wanted}", "ms", [_listing(wanted) for _ in range(plan.rounds)]),
        ]
        rows.append(_row("end with its container", "ms", [hosted.end_one() * 1000 for _ in range(wanted)]))
    return Outcome(NAME, f"{wanted} instances on one host", rows, [NOTE])


def _row(operation: str, unit: str, values: list[float], most: float | None = None) -> Row:
    target = None if most is None else Target(most, "value", (FDSTOREFS,))
    return Row(operation, unit, {FDSTOREFS: values}, target=target)


def _memory(hosted: Hosted) -> list[Row]:
    each = [sum(map(memory_of, pair(instance))) / 2**20 for instance in hosted.instances]
    servers = [memory_of(pair(instance)[0]) / 2**20 for instance in hosted.instances]
    return [
        _row(f"memory of an instance among {len(each)}", "MiB", each, 8),
        _row("of that the server's", "MiB", servers),
        _row("memory of all, and of the service", "MiB", [sum(map(memory_of, hosted.processes)) / 2**20]),
    ]


def _idle(hosted: Hosted, seconds: float) -> list[Row]:
    time.sleep(SETTLED_SECONDS)
    before = switches(hosted.processes), sum(map(processor_seconds, hosted.processes))
    time.sleep(seconds)
    after = switches(hosted.processes), sum(map(processor_seconds, hosted.processes))
    return [
        _row(f"wake-ups of all in {seconds} s without use", "", [float(after[0] - before[0])], 0),
        _row("processor time of all meanwhile", "ms", [(after[1] - before[1]) * 1000]),
    ]


def _listing(wanted: int) -> float:
    command = [sys.executable, "-m", "fdstorefs", "instances"]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begin
    if done.returncode != 0 or len(done.stdout.splitlines()) <= wanted:
        raise Failed(f"not all instances are listed: {done.stderr}")
    return taken * 1000
