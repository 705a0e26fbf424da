"""An instance is upgraded again and again, while clients stash, replace, retrieve, discard, read, write, wait, watch.

`python -m tests.mount.upgrade.torture --upgrades 100 --clients 8` is the long run; the short one is a test. No request
may fail, of any client, by socket or mount; what is stored stays the same open file (kcmp); a read that waits goes on
waiting and is answered; a watch misses nothing; and in the end nothing is left over.
"""

import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import fdstorefs
from fdstorefs.client.store import Store
from fdstorefs.host.descriptors import raise_limit
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.tortured import Client, Tortured, run_as_told, taken_away

PATIENCE_SECONDS = 60
MOST_ENTRIES = 32
"""Of one client."""

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
class ServedClient(Client):
    """One that is always answered."""

    waited: int = 0
    longest: float = 0.0

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
        self.counter += 1
        name = f"c{self.number}-{self.counter}"
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
        self.counter += 1
        goal = f"c{self.number}-{self.counter}"
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


class Torturer(Tortured):
    """Upgrades."""

    client = ServedClient

    def __init__(self, mount: str, clients: int, entries: int, seed: int) -> None:
        super().__init__(mount, clients, entries, seed)
        self.pauses: list[float] = []
        self.keeper = self.store.status().keeper

    def upgrade(self) -> None:
        """Once, after a while."""
        time.sleep(self.random.random() * 0.2)
        self.pauses.append(self.store.upgrade().pause / 1_000_000)

    def finish(self, upgrades: int) -> Outcome:
        """Let the clients look at everything, look ourselves, and end the instance."""
        told: list[Told] = list(self.last_words())
        names = set(self.files).union(*(each.names for each in told))
        failures = [problem for each in told for problem in each.problems]
        self._check_that_nothing_is_left(names)
        self.end()
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
        status = self.check_entries(names)
        if status.keeper != self.keeper:
            self.problems.append(f"the keeper was {self.keeper} and is {status.keeper}")
        if status.restarts:
            self.problems.append(f"the server died {status.restarts} times")
        for who, pid in (("keeper", status.keeper), ("server", status.pid)):
            self.check_descriptors(who, pid, len(names), 2 * len(self.clients))


def torture(mount: str, *, upgrades: int, clients: int, entries: int, seed: int) -> tuple[Outcome, str]:
    """Do it, and return what came of it with the log."""
    raise_limit()
    with taken_away(mount):
        torturer = Torturer(mount, clients, entries, seed)
        with torturer.telling_of_failure():
            for _ in range(upgrades):
                torturer.upgrade()
            return torturer.finish(upgrades), torturer.said()


def main() -> None:
    """The command line."""
    outcome, said = run_as_told(torture, __doc__, upgrades=100, clients=8, entries=1000)
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
