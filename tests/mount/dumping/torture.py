"""A transfer, or a dump and a restore, whose processes and servers are killed at random moments: all or nothing.

`python -m tests.mount.dumping.torture --rounds 100 --entries 5000` is the long run; the short one is a test.
Whoever ends with 0 has said the truth: then everything is there. Otherwise everything is or nothing is.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fdstorefs.client.store import Store
from fdstorefs.host.descriptors import raise_limit
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.dumping.filling import fill_with
from tests.mount.tortured import connect, repeat

COMMAND = (sys.executable, "-m", "fdstorefs")
VICTIMS = ("the server it comes from", "the server it goes to", "transfer", "dump", "restore")
REASONS = ("went away", "has ended", "no instance serves", "ended the connection", "is unknown")
SECONDS = 60
SAMPLES = 20


class Outcome(NamedTuple):
    """What came of it: how often everything was there, and nothing, and what should not have been."""

    whole: int
    none: int
    problems: list[str]


class Torture:
    """Two instances; `entries` are in the first."""

    def __init__(self, source: str, goal: str, entries: int, seed: int) -> None:
        self.source, self.goal = source, goal
        self.entries = entries
        self._random = random.Random(seed)
        fill_with(source, entries)
        self._undisturbed = self._time()

    def _time(self) -> float:
        """How long it takes when nobody is killed."""
        begin = time.monotonic()
        with self._transfer("whole") as processes:
            self._finish(processes)
        assert self.entries == self.arrived("whole")
        return time.monotonic() - begin

    def run(self, rounds: int) -> Outcome:
        """So many kills."""
        outcomes, problems = [], []
        for number in range(rounds):
            victim = VICTIMS[number % len(VICTIMS)]
            arrived, ended = self._round(f"round-{number}", victim)
            self._clear(f"round-{number}")
            outcomes.append(arrived)
            if arrived not in (0, self.entries):
                problems.append(f"{victim} was killed, and {arrived} of {self.entries} are there")
            if 0 in ended and arrived != self.entries:
                problems.append(
                    f"{victim} was killed, and somebody ended with 0: {ended}, {arrived} are there"
                )
        return Outcome(outcomes.count(self.entries), outcomes.count(0), [*problems, *self._compare()])

    def _round(self, box: str, victim: str) -> tuple[int, list[int]]:
        apart = victim in ("dump", "restore")
        with (self._apart if apart else self._transfer)(box) as processes:
            time.sleep(self._random.uniform(0.3, 1.8) * self._undisturbed)
            self._kill(victim, processes)
            ended = self._finish(processes)
        return self.arrived(box), ended

    def _kill(self, victim: str, processes: dict[str, "subprocess.Popen[str]"]) -> None:
        if victim in processes:
            processes[victim].kill()
            return
        with connect(self.source if victim == VICTIMS[0] else self.goal) as store:
            os.kill(repeat(store, lambda store: store.status()).pid, signal.SIGKILL)

    @contextmanager
    def _transfer(self, box: str) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
        self._make_box(box)
        with _started("transfer", self.source, self.goal, "box", "--into", box) as transfer:
            yield {"transfer": transfer}

    @contextmanager
    def _apart(self, box: str) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
        self._make_box(box)
        ours, theirs = socket.socketpair()
        one, other = ours.fileno(), theirs.fileno()
        with (
            _started("--at", self.source, "dump", "box", "--fd", str(one), descriptor=one) as dump,
            _started(
                "--at", self.goal, "restore", "--into", box, "--fd", str(other), descriptor=other
            ) as restore,
        ):
            ours.close()
            theirs.close()
            yield {"dump": dump, "restore": restore}

    def _make_box(self, box: str) -> None:
        with connect(self.goal) as store:
            repeat(store, lambda store: store.make_box(box))

    def _clear(self, box: str) -> None:
        """Make room for the next."""
        with connect(self.goal) as store:
            entries = repeat(store, lambda store: store.list(f"{box}/box/*"))
            same = [(entry.name, entry.id, entry.file) for entry in entries]
            repeat(store, lambda store: store.discard_unchanged(same))

    @staticmethod
    def _finish(processes: dict[str, "subprocess.Popen[str]"]) -> list[int]:
        """Wait for their ends. Whoever was not killed, and failed, did so because somebody else was."""
        said = {name: process.communicate(timeout=SECONDS)[1] for name, process in processes.items()}
        for name, process in processes.items():
            known = process.returncode in (0, -signal.SIGKILL) or any(why in said[name] for why in REASONS)
            assert known, said[name]
        return [process.returncode for process in processes.values()]

    def arrived(self, box: str) -> int:
        """How many entries are in a box there."""
        with connect(self.goal) as store:
            entries = repeat(store, lambda store: store.list(f"{box}/box/*", details=False))
        return len(entries)

    def _compare(self) -> list[str]:
        """Whether some are the same open files on both sides, and all are there still on this."""
        with connect(self.source) as source, connect(self.goal) as goal:
            names = [entry.name for entry in repeat(source, lambda store: store.list("box/*", details=False))]
            problems = [f"{len(names)} of {self.entries} are left"] if len(names) != self.entries else []
            sample = self._random.sample(names, min(SAMPLES, len(names)))
            others = [f"{name} is another open file" for name in sample if not _are_same(source, goal, name)]
        return problems + others


def _are_same(source: Store, goal: Store, name: str) -> bool:
    with (
        repeat(source, lambda store: store.retrieve(name)) as one,
        repeat(goal, lambda store: store.retrieve(f"whole/{name}")) as other,
    ):
        return same_file_order(one.fileno(), other.fileno()) == SAME_FILE


@contextmanager
def _started(*arguments: str, descriptor: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    inherited = () if descriptor is None else (descriptor,)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=inherited,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """The long run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    raise_limit()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        mounts = (one, other)
        for mount in mounts:
            subprocess.run([*COMMAND, "mount", mount], check=True)
        try:
            outcome = Torture(*mounts, options.entries, options.seed).run(options.rounds)
        finally:
            for mount in mounts:
                subprocess.run([*COMMAND, "umount", mount], check=True)
    print(f"seed {options.seed}: whole {outcome.whole}, none {outcome.none}")
    print("\n".join(outcome.problems))
    sys.exit(bool(outcome.problems))


if __name__ == "__main__":
    main()
