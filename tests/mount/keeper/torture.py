"""Server and keeper are killed in turn, at random moments, while clients stash, replace, retrieve and discard.

`python -m tests.mount.keeper.torture --kills 500 --clients 8 --entries 5000` is the long run; the short one is a test.
Nothing that was acknowledged may be lost or be another open file (kcmp). What was not may have happened or not, but
whole: several entries of one call are there together or not at all. In the end nothing is left over.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import fdstorefs
from fdstorefs.client.store import Store
from fdstorefs.host.descriptors import raise_limit
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from fdstorefs.server.mounting import unmount
from tests.mount.cast import mounted_below

PATIENCE_SECONDS = 30
MOST_ENTRIES = 64
"""Of one client."""

OWN_DESCRIPTORS = 24
"""What a keeper has open for itself, at most."""


class Outcome(NamedTuple):
    """What came of it. Outages in milliseconds, from the kill to the first answer."""

    kills: int
    operations: int
    unanswered: int
    refused: int
    outages: list[float]
    problems: list[str]

    @property
    def longest(self) -> float:
        """The longest outage."""
        return max(self.outages)


def connect(mount: str) -> Store:
    """As soon as there is somebody to connect to."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return fdstorefs.connect(mount)
        except fdstorefs.NoInstance:
            if time.monotonic() > until:
                raise
            time.sleep(0.001)


def repeat(store: Store, what: Callable[[Store], Any]) -> Any:
    """Do what can be done twice until it is done."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return what(store)
        except (fdstorefs.NoInstance, fdstorefs.ProtocolError, fdstorefs.Overloaded):
            if time.monotonic() > until:
                raise
            time.sleep(0.001)


@dataclass
class Client:
    """One process. `sure` are its entries as they must be: name to our own descriptor of the open file."""

    mount: str
    number: int
    seed: int
    sure: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    operations: int = 0
    unanswered: int = 0
    refused: int = 0
    _counter: int = 0

    def run(self, told: Connection) -> None:
        """Until there is something to receive."""
        raise_limit()
        self.random = random.Random(self.seed)
        self.store = connect(self.mount)
        while not told.poll():
            self._do_something()
            self.operations += 1
        for name in sorted(self.sure):
            self._expect(name, [self.sure[name]])
        told.send((self.operations, self.unanswered, self.refused, sorted(self.sure), self.problems))

    def _do_something(self) -> None:
        choice = self.random.random()
        if len(self.sure) < 4 or (choice < 0.3 and len(self.sure) < MOST_ENTRIES):
            self._stash(self.random.choice((1, 1, 2, 8)))
        elif choice < 0.45:
            self._discard()
        elif choice < 0.65:
            self._replace()
        else:
            name = self.random.choice(list(self.sure))
            self._expect(name, [self.sure[name]])

    def _new(self) -> int:
        self._counter += 1
        return os.memfd_create(f"{self.number}-{self._counter}")

    def _try(self, what: Callable[[], Any]) -> bool | None:
        """True if it was acknowledged, False if it was refused, None if nobody knows."""
        try:
            what()
        except (fdstorefs.NoInstance, fdstorefs.ProtocolError):
            self.unanswered += 1
            return None
        except fdstorefs.Overloaded:
            self.refused += 1
            return False
        return True

    def _stash(self, count: int) -> None:
        files = {}
        for _ in range(count):
            descriptor = self._new()
            files[f"c{self.number}-{self._counter}"] = descriptor
        done = self._try(lambda: self.store.stash_many(files))
        if done is None:
            done = self._find_out(files)
        if done:
            self.sure |= files
        else:
            _close(files.values())

    def _find_out(self, files: dict[str, int]) -> bool:
        there = [self._is_there(name, descriptor) for name, descriptor in files.items()]
        if any(there) and not all(there):
            self.problems.append(f"part of a call only: {dict(zip(files, there, strict=True))}")
        return all(there)

    def _is_there(self, name: str, descriptor: int) -> bool:
        try:
            self._expect(name, [descriptor], missing=True)
        except fdstorefs.NoSuchEntry:
            return False
        return True

    def _replace(self) -> None:
        name, new = self.random.choice(list(self.sure)), self._new()
        done = self._try(lambda: self.store.stash(name, new, replace=True))
        if done is None:
            done = self._expect(name, [self.sure[name], new]) == 1
        if done:
            old, self.sure[name] = self.sure[name], new
            os.close(old)
        else:
            os.close(new)

    def _discard(self) -> None:
        name = self.random.choice(list(self.sure))
        done = self._try(lambda: self.store.discard(name))
        if done is None:
            done = not self._is_there(name, self.sure[name])
        if done:
            os.close(self.sure.pop(name))

    def _expect(self, name: str, candidates: list[int], *, missing: bool = False) -> int | None:
        """Which of the candidates an entry is."""
        try:
            with repeat(self.store, lambda store: store.retrieve(name)) as found:
                for index, candidate in enumerate(candidates):
                    if same_file_order(found.fileno(), candidate) == SAME_FILE:
                        return index
            self.problems.append(f"{name} is another open file")
        except fdstorefs.NoSuchEntry:
            if missing:
                raise
            self.problems.append(f"{name} is lost")
        return None


def _close(descriptors: Any) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class Torturer:
    """Starts an instance, fills it, starts clients, and kills."""

    def __init__(self, mount: str, clients: int, entries: int, seed: int) -> None:
        self.mount = mount
        self.random = random.Random(seed)
        self.seed = seed
        self.outages: list[float] = []
        self.problems: list[str] = []
        self.log = tempfile.TemporaryFile("w+")
        self._start()
        self.store = connect(mount)
        self.files = self._fill(entries)
        self.clients = [self._client(number) for number in range(clients)]

    def _start(self) -> None:
        argv = [
            sys.executable,
            "-m",
            "fdstorefs",
            "mount",
            "--log",
            f"/proc/self/fd/{self.log.fileno()}",
            self.mount,
        ]
        subprocess.run(argv, check=True, pass_fds=[self.log.fileno()], timeout=PATIENCE_SECONDS)

    def _fill(self, entries: int) -> dict[str, int]:
        files = {f"e{number}": os.memfd_create(f"e{number}") for number in range(entries)}
        names = list(files)
        for start in range(0, entries, 64):
            self.store.stash_many({name: files[name] for name in names[start : start + 64]})
        return files

    def _client(self, number: int) -> tuple[Any, Connection]:
        ours, its = multiprocessing.Pipe()
        client = Client(self.mount, number, self.seed * 1000 + number)
        process = multiprocessing.get_context("fork").Process(target=client.run, args=(its,), daemon=True)
        process.start()
        its.close()
        return process, ours

    def kill(self, who: str) -> None:
        """Kill one, at a random moment, and wait until there is another."""
        time.sleep(self.random.random() * 0.2)
        before = repeat(self.store, lambda store: store.status())
        killed = time.monotonic()
        os.kill(getattr(before, who), signal.SIGKILL)
        while True:
            now = repeat(self.store, lambda store: store.status())
            if getattr(now, who) != getattr(before, who):
                break
            if time.monotonic() > killed + PATIENCE_SECONDS:
                raise TimeoutError(f"no other {who}")
        if who == "pid":
            self.outages.append(1000 * (time.monotonic() - killed))

    def finish(self, kills: int) -> Outcome:
        """Let the clients look at everything, look ourselves, and end the instance."""
        operations = unanswered = refused = 0
        names: set[str] = set(self.files)
        for process, connection in self.clients:
            connection.send("enough")
            done, open_questions, denied, left, problems = connection.recv()
            process.join()
            operations, unanswered, refused = operations + done, unanswered + open_questions, refused + denied
            names |= set(left)
            self.problems += problems
        for name, descriptor in self.files.items():
            with self.store.retrieve(name) as found:
                if same_file_order(found.fileno(), descriptor) != SAME_FILE:
                    self.problems.append(f"{name} is another open file")
        self._check_that_nothing_is_left(names)
        subprocess.run([sys.executable, "-m", "fdstorefs", "umount", self.mount], check=True)
        return Outcome(kills, operations, unanswered, refused, self.outages, self.problems)

    def _check_that_nothing_is_left(self, names: set[str]) -> None:
        there = {entry.name for entry in self.store.list()}
        if there != names:
            self.problems.append(f"left over: {sorted(there - names)}, lost: {sorted(names - there)}")
        status = self.store.status()
        if status.descriptors != len(names):
            self.problems.append(f"{status.descriptors} descriptors for {len(names)} entries")
        assert status.keeper is not None
        kept = len(os.listdir(f"/proc/{status.keeper}/fd"))
        if not len(names) <= kept <= len(names) + OWN_DESCRIPTORS:
            self.problems.append(f"the keeper has {kept} descriptors for {len(names)} entries")

    def said(self) -> str:
        """The log of all servers and keepers."""
        self.log.seek(0)
        return self.log.read()


def torture(mount: str, *, kills: int, clients: int, entries: int, seed: int) -> tuple[Outcome, str]:
    """Do it, and return what came of it with the log."""
    raise_limit()
    torturer = Torturer(mount, clients, entries, seed)
    try:
        for number in range(kills):
            torturer.kill("pid" if number % 2 == 0 else "keeper")
        return torturer.finish(kills), torturer.said()
    except BaseException:
        print(torturer.said()[-4000:], file=sys.stderr)
        raise
    finally:
        for left in mounted_below(mount):
            unmount(left, lazy=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        mount = os.path.join(directory, "store")
        os.mkdir(mount)
        outcome, _ = torture(mount, **vars(options))
    ordered = sorted(outcome.outages)
    told = outcome._asdict() | {
        "outages": len(ordered),
        "longest": ordered[-1],
        "median": ordered[len(ordered) // 2],
    }
    print(json.dumps(told, indent=1))
    sys.exit(1 if outcome.problems else 0)


if __name__ == "__main__":
    main()
