"""An instance is upgraded again and again, while clients stash, replace, retrieve, discard, read, write, wait, watch.

`python -m tests.mount.upgrade.torture --upgrades 100 --clients 8` is the long run; the short one is a test. No request
may fail, of any client, by socket or mount; what is stored stays the same open file (kcmp); a read that waits goes on
waiting and is answered; a watch misses nothing; and in the end nothing is left over.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import fdstorefs
from fdstorefs.client.store import Store
from fdstorefs.host.descriptors import raise_limit
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from fdstorefs.server.mounting import unmount
from tests.mount.cast import mounted_below

PATIENCE_SECONDS = 60
MOST_ENTRIES = 32
"""Of one client."""

OWN_DESCRIPTORS = 24
"""What a keeper has open for itself, at most."""

PROBLEMS_SHOWN = 10


class Outcome(NamedTuple):
    """What came of it. `pauses` are those that each upgrade told of, `longest` what a client waited for one answer
    at most, both in milliseconds.
    """

    upgrades: int
    operations: int
    waited: int
    changes: int
    pauses: list[float]
    longest: float
    failed: int
    problems: list[str]


class Told(NamedTuple):
    """What one client has done and seen."""

    operations: int
    waited: int
    changes: int
    longest: float
    names: list[str]
    problems: list[str]


@dataclass
class Client:
    """One process. `sure` are its entries: name to our own descriptor of the open file."""

    mount: str
    number: int
    seed: int
    sure: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    operations: int = 0
    waited: int = 0
    longest: float = 0.0
    _counter: int = 0

    def run(self, told: Connection) -> None:
        """Until there is something to receive."""
        raise_limit()
        self.random = random.Random(self.seed)
        self.store = fdstorefs.connect(self.mount)
        self.over = threading.Event()
        reader = threading.Thread(target=self._trying(self._read_what_comes_late), daemon=True)
        watcher = Watcher(self.mount, self.number)
        reader.start()
        while not told.poll():
            began = time.monotonic()
            self._trying(self._do_something)()
            self.longest = max(self.longest, time.monotonic() - began)
            self.operations += 1
        self.over.set()
        reader.join(PATIENCE_SECONDS)
        if reader.is_alive():
            self.problems.append("a read that waits was never answered")
        for name, descriptor in self.sure.items():
            self._trying(lambda name=name, descriptor=descriptor: self._expect(name, descriptor))()
        self.problems += watcher.end(self.store)
        names = sorted(self.sure)
        told.send(
            Told(self.operations, self.waited, watcher.changes, 1000 * self.longest, names, self.problems)
        )

    def _trying(self, what: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            try:
                what()
            except Exception:  # noqa: BLE001  that is what is counted
                self.problems.append(traceback.format_exc(limit=-3))

        return run

    def _do_something(self) -> None:
        choice = self.random.random()
        if len(self.sure) < 4 or (choice < 0.2 and len(self.sure) < MOST_ENTRIES):
            self._stash(self.random.choice((1, 1, 2, 8)))
        elif choice < 0.3 and len(self.sure) < MOST_ENTRIES:
            self._stash_through_the_mount()
        elif choice < 0.4:
            self._discard()
        elif choice < 0.5:
            self._replace()
        elif choice < 0.6:
            self._rename()
        elif choice < 0.75:
            self._read_through_the_mount()
        else:
            name = self.random.choice(list(self.sure))
            self._expect(name, self.sure[name])

    def _new(self) -> tuple[str, int]:
        self._counter += 1
        name = f"c{self.number}-{self._counter}"
        descriptor = os.memfd_create(name)
        os.write(descriptor, name.encode())
        return name, descriptor

    def _stash(self, count: int) -> None:
        files = dict(self._new() for _ in range(count))
        self.store.stash_many(files)
        self.sure |= files

    def _stash_through_the_mount(self) -> None:
        name, descriptor = self._new()
        with open(f"{self.mount}/{name}", "w") as file:
            file.write(f"{descriptor}\n")
        self.sure[name] = descriptor

    def _discard(self) -> None:
        name = self.random.choice(list(self.sure))
        if self.random.random() < 0.5:
            self.store.discard(name)
        else:
            os.unlink(f"{self.mount}/{name}")
        os.close(self.sure.pop(name))

    def _replace(self) -> None:
        name, (_, new) = self.random.choice(list(self.sure)), self._new()
        self.store.stash(name, new, replace=True)
        os.close(self.sure[name])
        self.sure[name] = new

    def _rename(self) -> None:
        name = self.random.choice(list(self.sure))
        self._counter += 1
        goal = f"c{self.number}-{self._counter}"
        if self.random.random() < 0.5:
            self.store.rename(name, goal)
        else:
            os.rename(f"{self.mount}/{name}", f"{self.mount}/{goal}")
        self.sure[goal] = self.sure.pop(name)

    def _read_through_the_mount(self) -> None:
        name = self.random.choice(list(self.sure))
        expected = os.pread(self.sure[name], 100, 0)
        os.lseek(self.sure[name], 0, os.SEEK_SET)  # it is the same open file, with one offset
        with open(f"{self.mount}/{name}", "rb") as file:
            time.sleep(self.random.random() * 0.05)
            if (found := file.read()) != expected:
                self.problems.append(f"{name} reads {found!r}, not {expected!r}")

    def _expect(self, name: str, descriptor: int) -> None:
        with self.store.retrieve(name) as found:
            if same_file_order(found.fileno(), descriptor) != SAME_FILE:
                self.problems.append(f"{name} is another open file")

    def _read_what_comes_late(self) -> None:
        """Reads of a pipe through the mount that wait for longer than an upgrade takes."""
        ours = random.Random(self.seed + 1)
        reading, writing = os.pipe()
        name = f"pipe-{self.number}"
        fdstorefs.connect(self.mount).stash(name, reading, poll=False)
        with open(f"{self.mount}/{name}", "rb", buffering=0) as file:
            while not self.over.is_set():
                message = f"{self.waited}".encode()
                timer = threading.Timer(ours.random() * 2, os.write, (writing, message))
                timer.start()
                if (found := file.read(100)) != message:
                    self.problems.append(f"a read that waited got {found!r}, not {message!r}")
                self.waited += 1
        fdstorefs.connect(self.mount).discard(name)


class Watcher:
    """Watches a few names that one client changes, and checks that every change is told, in order."""

    def __init__(self, mount: str, number: int) -> None:
        self.changes = 0
        self._pattern = f"w{number}-*"
        self._end = f"w{number}-end"
        self._problems: list[str] = []
        self._mount = mount
        self._number = number
        self._told: list[str] = []
        self._made: list[str] = []
        self._over = threading.Event()
        self._watch = fdstorefs.connect(mount).watch(self._pattern)
        self._threads = [
            threading.Thread(target=each, daemon=True) for each in (self._listen, self._make_changes)
        ]
        for thread in self._threads:
            thread.start()

    def end(self, store: Store) -> list[str]:
        """Stop, and say what is wrong."""
        self._over.set()
        self._threads[1].join(PATIENCE_SECONDS)
        store.stash(self._end, 0)
        self._threads[0].join(PATIENCE_SECONDS)
        store.discard(self._end)
        self.changes = len(self._made)
        if self._made != self._told:
            missing = len(self._made) - len(self._told)
            self._problems.append(f"a watch missed {missing} of {len(self._made)} changes: {self._problems}")
        return self._problems

    def _listen(self) -> None:
        try:
            for change in self._watch:
                name = change.entry.name if change.entry is not None else ""
                if name == self._end:
                    return
                self._told.append(f"{change.change} {name}")
        except Exception:  # noqa: BLE001  that is what is counted
            self._problems.append(traceback.format_exc(limit=-3))

    def _make_changes(self) -> None:
        count = 0
        try:
            with fdstorefs.connect(self._mount) as store:
                while not self._over.wait(0.02):
                    count += 1
                    name = f"w{self._number}-{count}"
                    store.stash(name, 0)
                    self._made.append(f"stashed {name}")
                    store.discard(name)
                    self._made.append(f"discarded {name}")
        except Exception:  # noqa: BLE001  likewise
            self._problems.append(traceback.format_exc(limit=-3))


class Torturer:
    """Starts an instance, fills it, starts clients, and upgrades."""

    def __init__(self, mount: str, clients: int, entries: int, seed: int) -> None:
        self.mount = mount
        self.seed = seed
        self.random = random.Random(seed)
        self.pauses: list[float] = []
        self.problems: list[str] = []
        self.log = tempfile.TemporaryFile("w+")
        argv = [
            sys.executable,
            "-m",
            "fdstorefs",
            "mount",
            "--log",
            f"/proc/self/fd/{self.log.fileno()}",
            mount,
        ]
        subprocess.run(argv, check=True, pass_fds=[self.log.fileno()], timeout=PATIENCE_SECONDS)
        self.store = fdstorefs.connect(mount)
        self.keeper = self.store.status().keeper
        self.files = self._fill(entries)
        self.clients = [self._client(number) for number in range(clients)]

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

    def upgrade(self) -> None:
        """Once, after a while."""
        time.sleep(self.random.random() * 0.2)
        self.pauses.append(self.store.upgrade().pause / 1_000_000)

    def finish(self, upgrades: int) -> Outcome:
        """Let the clients look at everything, look ourselves, and end the instance."""
        told: list[Told] = []
        for process, connection in self.clients:
            connection.send("enough")
            if not connection.poll(2 * PATIENCE_SECONDS):
                self.problems.append("a client never came back")
                continue
            told.append(connection.recv())
            process.join()
        names = set(self.files).union(*(each.names for each in told))
        failures = [problem for each in told for problem in each.problems]
        for name, descriptor in self.files.items():
            with self.store.retrieve(name) as found:
                if same_file_order(found.fileno(), descriptor) != SAME_FILE:
                    self.problems.append(f"{name} is another open file")
        self._check_that_nothing_is_left(names)
        subprocess.run([sys.executable, "-m", "fdstorefs", "umount", self.mount], check=True)
        return Outcome(
            upgrades,
            sum(each.operations for each in told),
            sum(each.waited for each in told),
            sum(each.changes for each in told),
            self.pauses,
            max((each.longest for each in told), default=0.0),
            len(failures),
            [*self.problems, *failures[:PROBLEMS_SHOWN]],
        )

    def _check_that_nothing_is_left(self, names: set[str]) -> None:
        there = {entry.name for entry in self.store.list()}
        if there != names:
            self.problems.append(f"left over: {sorted(there - names)}, lost: {sorted(names - there)}")
        status = self.store.status()
        if status.descriptors != len(names):
            self.problems.append(f"{status.descriptors} descriptors for {len(names)} entries")
        if status.keeper != self.keeper:
            self.problems.append(f"the keeper was {self.keeper} and is {status.keeper}")
        if status.restarts:
            self.problems.append(f"the server died {status.restarts} times")
        for who, pid in (("keeper", status.keeper), ("server", status.pid)):
            has = len(os.listdir(f"/proc/{pid}/fd"))
            if not len(names) <= has <= len(names) + OWN_DESCRIPTORS + 2 * len(self.clients):
                self.problems.append(f"the {who} has {has} descriptors for {len(names)} entries")

    def said(self) -> str:
        """The log of all servers and keepers."""
        self.log.seek(0)
        return self.log.read()


@contextlib.contextmanager
def taken_away(mount: str) -> Iterator[None]:
    """Whatever happens, nothing is mounted there afterwards."""
    try:
        yield
    finally:
        for left in mounted_below(mount):
            unmount(left, lazy=True)


def torture(mount: str, *, upgrades: int, clients: int, entries: int, seed: int) -> tuple[Outcome, str]:
    """Do it, and return what came of it with the log."""
    raise_limit()
    with taken_away(mount):
        torturer = Torturer(mount, clients, entries, seed)
        try:
            for _ in range(upgrades):
                torturer.upgrade()
            return torturer.finish(upgrades), torturer.said()
        except BaseException:
            print(torturer.said()[-4000:], file=sys.stderr)
            raise


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrades", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        mount = os.path.join(directory, "store")
        os.mkdir(mount)
        outcome, said = torture(mount, **vars(options))
    ordered = sorted(outcome.pauses)
    told = outcome._asdict() | {
        "pauses": {"median": ordered[len(ordered) // 2], "longest": ordered[-1]} if ordered else {}
    }
    print(json.dumps(told, indent=1))
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    if outcome.problems:
        print(said[-6000:], file=sys.stderr)
    sys.exit(1 if outcome.problems else 0)


if __name__ == "__main__":
    main()
