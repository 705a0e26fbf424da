"""What a command costs that starts, asks once and ends."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.outcome import Outcome, Target
from benchmarks.peers.contestants import FDSTOREFS, S6
from benchmarks.peers.process import ROOT, Failed
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play

NAME = "cold-start"
ENTRIES = 10
INTERPRETER = "python -c pass"

NOTE = (
    "Milliseconds from the start of a process to its end, files in the page cache, bytecode compiled, ten"
    " entries in the store. `python -c pass` is what no command in Python can beat."
)


def run(plan: Plan) -> Outcome:
    """The command line and the import, beside the bare interpreter and s6's commands."""
    with Workshop() as shop:
        rows = play(_contests(shop), plan)
    return Outcome(NAME, "Cold start of the command line", rows, [NOTE])


def _contests(shop: Workshop) -> list[Contest]:
    instance, (socket, _) = shop.instance(), shop.s6(ENTRIES * 4)
    shop.client("fdstorefs_client", instance.socket).fill("stash", "memfd", 0, ENTRIES)
    shop.client("s6_client", socket).fill("stash", "memfd", 0, ENTRIES)
    bare = _command(sys.executable, "-c", "pass")
    aim = Target(60, "value", (FDSTOREFS,))

    def ours(*arguments: str) -> Run:
        return _command(sys.executable, "-m", "fdstorefs", "--at", instance.mount, *arguments)

    def contest(operation: str, run: Run, target: Target | None = None, **others: Run) -> Contest:
        return Contest(operation, "ms", {FDSTOREFS: run, INTERPRETER: bare, **others}, INTERPRETER, target)

    return [
        contest("ls", ours("ls"), aim, **{S6: _command("s6-fdholder-list", socket)}),
        contest("ls -l", ours("ls", "-l")),
        contest("status", ours("status")),
        contest(
            "exec NAME -- true",
            ours("exec", "e0", "--", "true"),
            aim,
            **{S6: _command("s6-fdholder-retrieve", socket, "e0", "true")},
        ),
        contest("import fdstorefs", _command(sys.executable, "-c", "import fdstorefs")),
        contest("import fdstorefs, connect()", _command(sys.executable, "-c", _connect(instance.mount))),
    ]


def _connect(mount: Path) -> str:
    return f"import fdstorefs; fdstorefs.connect({str(mount)!r})"


def _command(*words: str | Path) -> Run:
    command = list(map(str, words))
    return lambda: _milliseconds(command)


def _milliseconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, check=False)
    taken = time.perf_counter() - start
    if done.returncode != 0:
        raise Failed(
            f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.decode(errors='replace')}"
        )
    return taken * 1000
