"""Server and keeper are killed in turn, at random moments, while clients stash, replace, retrieve and discard.

`python -m tests.mount.keeper.torture --kills 500 --clients 8 --entries 5000` is the long run; the short one is a test.
Nothing that was acknowledged may be lost or be another open file (kcmp). What was not may have happened or not, but
whole: several entries of one call are there together or not at all. In the end nothing is left over.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import fdstorefs
from fdstorefs.host.descriptors import raise_limit
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.tortured import PATIENCE_SECONDS, Client, Tortured, connect, repeat, run_as_told, taken_away

MOST_ENTRIES = 64
"""Of one client."""


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


@dataclass
class KilledClient(Client):
    """One that is answered, or refused, or not answered at all, and then finds out what has become of it."""

    unanswered: int = 0
    refused: int = 0

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
        self.counter += 1
        return os.memfd_create(f"{self.number}-{self.counter}")

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
            files[f"c{self.number}-{self.counter}"] = descriptor
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


class Torturer(Tortured):
    """Kills."""

    client = KilledClient

    def __init__(self, mount: str, clients: int, entries: int, seed: int) -> None:
        super().__init__(mount, clients, entries, seed)
        self.outages: list[float] = []

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
        for done, open_questions, denied, left, problems in self.last_words():
            operations, unanswered, refused = operations + done, unanswered + open_questions, refused + denied
            names |= set(left)
            self.problems += problems
        status = self.check_entries(names)
        self.check_descriptors("keeper", status.keeper, len(names))
        self.end()
        return Outcome(kills, operations, unanswered, refused, self.outages, self.problems)


def torture(mount: str, *, kills: int, clients: int, entries: int, seed: int) -> tuple[Outcome, str]:
    """Do it, and return what came of it with the log."""
    raise_limit()
    with taken_away(mount):
        torturer = Torturer(mount, clients, entries, seed)
        with torturer.telling_of_failure():
            for number in range(kills):
                torturer.kill("pid" if number % 2 == 0 else "keeper")
            return torturer.finish(kills), torturer.said()


def main() -> None:
    """The command line."""
    outcome, _ = run_as_told(torture, __doc__, kills=500, clients=8, entries=5000)
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
