"""An instance under load for a long time, which is killed every so often, and what it costs meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from statistics import median
from typing import Any, NamedTuple

from fdstorefs.host.descriptors import raise_limit
from fdstorefs.server.mounting import unmount
from tests.mount.cast import mounted_below
from tests.mount.keeper.soak.client import Client
from tests.mount.keeper.soak.samples import Sample, take
from tests.mount.tortured import PATIENCE_SECONDS, connect, repeat

QUIET = 0.5, 0.75
"""The part of a run in which nobody is killed: one server has so much to do."""


class Plan(NamedTuple):
    """What is to be done. `clients` do so many `operations`, beside `entries` that stay; one process is killed after
    every `crash_every` of them, the server and the keeper in turn, and a sample taken after every `sample_every`.
    """

    operations: int
    clients: int
    entries: int
    crash_every: int
    sample_every: int
    seed: int


class Result(NamedTuple):
    """What came of it. `before` and `after` are samples with the same entries, when nobody did anything.

    `still_there` are entries that were taken as the server died, and found again.
    """

    plan: Plan
    samples: list[Sample]
    before: Sample
    after: Sample
    calls: int
    unanswered: int
    refused: int
    still_there: int
    crashes: list[int]
    problems: list[str]

    @property
    def growth(self) -> int:
        """KiB by which all memory has grown in the second half: from the median of a tenth to that of the last."""
        second = self.samples[len(self.samples) // 2 :]
        tenth = max(1, len(second) // 10)
        return int(_middle(second[-tenth:]) - _middle(second[:tenth]))


def _middle(samples: list[Sample]) -> float:
    return median(sample.memory for sample in samples)


class Soak:
    """One run."""

    def __init__(self, mount: str, plan: Plan, sampled: Callable[[Sample], object]) -> None:
        self._mount = mount
        self._sampled = sampled
        self._plan = plan
        self._log = tempfile.TemporaryFile("w+")
        self._files: list[int] = []
        self._samples: list[Sample] = []
        self._crashes: list[int] = []
        self._outcome = [0, 0, 0, 0]
        self._problems: list[str] = []
        self._operations = 0
        self._beneath = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)

    def run(self) -> Result:
        """All of it."""
        log = f"/proc/self/fd/{self._log.fileno()}"
        argv = [sys.executable, "-m", "fdstorefs", "mount", "--log", log, self._mount]
        subprocess.run(argv, check=True, pass_fds=[self._log.fileno()], timeout=PATIENCE_SECONDS)
        self._store = connect(self._mount)
        self._fill()
        for who in ("pid", "keeper", "pid"):
            self._kill(who)
        self._crashes.clear()
        # What is opened with the first stash, and never again, is open from here on.
        with connect(self._mount) as store, tempfile.TemporaryFile() as first:
            store.stash("first", first)
            store.discard("first")
        before = self._sample()
        self._begun = time.monotonic()
        self._work()
        after = self._settled(before)
        self._store.close()
        subprocess.run([sys.executable, "-m", "fdstorefs", "umount", self._mount], check=True)
        return Result(self._plan, self._samples, before, after, *self._outcome, self._crashes, self._problems)

    def _fill(self) -> None:
        for start in range(0, self._plan.entries, 64):
            numbers = range(start, min(start + 64, self._plan.entries))
            files = {f"e{number}": os.memfd_create(f"e{number}") for number in numbers}
            self._store.stash_many(files)
            for descriptor in files.values():
                os.close(descriptor)

    def _work(self) -> None:
        share = self._plan.operations // self._plan.clients
        connections = [self._client(number, share) for number in range(self._plan.clients)]
        crash_at, sample_at, turn = self._plan.crash_every, 0, 0
        while connections:
            for connection in wait(connections):
                self._hear(connection, connections)
            if self._operations >= sample_at:
                self._samples.append(self._sample())
                sample_at += self._plan.sample_every
            if self._operations >= crash_at and connections:
                crash_at += self._plan.crash_every
                if not QUIET[0] <= self._operations / self._plan.operations < QUIET[1]:
                    self._kill(("pid", "keeper")[turn % 2])
                    turn += 1

    def _client(self, number: int, operations: int) -> Connection:
        ours, its = multiprocessing.Pipe(duplex=False)
        client = Client(self._mount, number, self._plan.seed * 1000 + number, self._beneath)
        context = multiprocessing.get_context("fork")
        context.Process(target=client.run, args=(its, operations), daemon=True).start()
        its.close()
        return ours

    def _hear(self, connection: Any, connections: list[Connection]) -> None:
        try:
            told = connection.recv()
        except EOFError:
            self._problems.append("a client has failed")
            connections.remove(connection)
            return
        if isinstance(told, int):
            self._operations += told
            return
        rest, *outcome, problems = told
        self._operations += rest
        self._outcome = [sum(each) for each in zip(self._outcome, outcome, strict=True)]
        self._problems += problems
        connections.remove(connection)

    def _kill(self, who: str) -> None:
        before = repeat(self._store, lambda store: store.status())
        os.kill(getattr(before, who), signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while getattr(repeat(self._store, lambda store: store.status()), who) == getattr(before, who):
            if time.monotonic() > until:
                raise TimeoutError(f"no other {who}")
        self._crashes.append(self._operations)

    def _sample(self) -> Sample:
        until = time.monotonic() + PATIENCE_SECONDS
        seconds = time.monotonic() - self._begun if self._samples else 0
        while True:
            status = repeat(self._store, lambda store: store.status())
            sample = take(status, self._operations, seconds, len(self._crashes))
            if sample is not None:
                self._sampled(sample)
                return sample
            if time.monotonic() > until:
                raise TimeoutError("there is no spare")

    def _settled(self, before: Sample) -> Sample:
        """When everything is closed that was taken away; or as it is if that doesn't come about."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            sample = self._sample()
            if sample.has_no_more_than(before) or time.monotonic() > until:
                return sample
            time.sleep(0.05)

    def said(self) -> str:
        """The log of all servers and keepers."""
        self._log.seek(0)
        return self._log.read()


def soak(mount: str, plan: Plan, sampled: Callable[[Sample], object]) -> tuple[Result, str]:
    """Do it, and return what came of it with the log; `sampled` is told of each sample at once."""
    raise_limit()
    made = Soak(mount, plan, sampled)
    try:
        return made.run(), made.said()
    except BaseException:
        print(made.said()[-4000:], file=sys.stderr)
        raise
    finally:
        for left in mounted_below(mount):
            unmount(left, lazy=True)
