"""What the hooks cost those who have nothing to do with a store, and those who have: with and without them, by turns.

Only a kernel with BPF LSM runs the hooks, so this boots one for each of some kernels, by tools/vm.
"""

import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.inside import OFF, ON
from benchmarks.outcome import Outcome, Row, Target
from benchmarks.peers.process import ROOT, Failed
from benchmarks.peers.programs import compile_one
from benchmarks.rounds import Plan

NAME = "machine"
KERNELS = ("6.12", "7.2")
TARGETS = {"open and close": 1.02, "pass an untagged descriptor": 1.05}

NOTE = (
    "Microseconds of one operation in a virtual machine whose processor is emulated (QEMU's TCG), five to ten times "
    "what it takes elsewhere. An emulated processor has no caches and predicts nothing, so its ratios are its own: "
    "they say how much more there is to do. `off`: nothing is in any hook. `empty`: in each hook there is a "
    "program that does nothing, which no one who uses BPF LSM can be faster than. `on`: ours, compiled for a policy of "
    "100 rules; `idle`, without an instance; else with one, its policy and 501 tagged files. A round is a block of "
    "each, in an order that turns round, and a block's value its quickest of 25 batches. All is done by one process: "
    "it passes descriptors to itself, and `connect` includes making the socket, accepting and closing both. The "
    "facts below are those of the machine's host."
)


def run(plan: Plan) -> Outcome:
    """Boot each kernel and measure there."""
    kernels = KERNELS[:1] if plan.quick else KERNELS
    rows = [row for kernel in kernels for row in _rows(kernel, plan.rounds)]
    return Outcome(NAME, "With the hooks, in a virtual machine", rows, [NOTE])


def _rows(kernel: str, rounds: int) -> list[Row]:
    return [
        Row(f"{operation} ({kernel})", "us", series, OFF, _target(operation))
        for operation, series in _measured(kernel, rounds).items()
    ]


def _target(operation: str) -> Target | None:
    most = TARGETS.get(operation.removesuffix(", idle"))
    return None if most is None else Target(most, "ratio", (ON,))


def _measured(kernel: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    # The machine has no compiler, and of this one's files only the clone and what is installed.
    with tempfile.TemporaryDirectory(dir=ROOT / "benchmarks", prefix="built-") as scratch:
        client = compile_one("hooks_client", Path(scratch))
        command = ["tools/vm", kernel, ".venv/bin/python", "-m", "benchmarks.inside", client, str(rounds)]
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode != 0:
        raise Failed(f"the machine with kernel {kernel} measured nothing:\n{done.stdout[-4000:]}")
    found: dict[str, dict[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found
