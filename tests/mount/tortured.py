"""An instance under torture: what is in it, the processes that use it all the while, and what must be so in the end."""

import argparse
import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import fdstorefs
from fdstorefs.client.records import Status
from fdstorefs.client.store import Store
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from fdstorefs.server.mounting import unmount
from tests.mount.cast import mounted_below

PATIENCE_SECONDS = 30
LAST_WORDS_SECONDS = 120
"""For a client to look at everything that it has."""

OWN_DESCRIPTORS = 24
"""What a keeper or a server has open for itself, at most."""


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
class Client(ABC):
    """One process. `sure` are its entries as they must be: name to our own descriptor of the open file."""

    mount: str
    number: int
    seed: int
    sure: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    operations: int = 0
    counter: int = 0
    """Of names that it has given."""

    @abstractmethod
    def run(self, told: Connection) -> None:
        """Until there is something to receive; then send what came of it."""


class Tortured:
    """An instance that holds `files`, with clients of the kind `client`."""

    client: type[Client]

    def __init__(self, mount: str, clients: int, entries: int, seed: int) -> None:
        self.mount = mount
        self.seed = seed
        self.random = random.Random(seed)
        self.problems: list[str] = []
        self.log = tempfile.TemporaryFile("w+")
        self._start()
        self.store = connect(mount)
        self.files = self._fill(entries)
        self.clients = [self._start_client(number) for number in range(clients)]

    def _start(self) -> None:
        log = f"/proc/self/fd/{self.log.fileno()}"
        argv = [sys.executable, "-m", "fdstorefs", "mount", "--log", log, self.mount]
        subprocess.run(argv, check=True, pass_fds=[self.log.fileno()], timeout=PATIENCE_SECONDS)

    def _fill(self, entries: int) -> dict[str, int]:
        files = {f"e{number}": os.memfd_create(f"e{number}") for number in range(entries)}
        names = list(files)
        for start in range(0, entries, 64):
            self.store.stash_many({name: files[name] for name in names[start : start + 64]})
        return files

    def _start_client(self, number: int) -> tuple[Any, Connection]:
        ours, its = multiprocessing.Pipe()
        client = self.client(self.mount, number, self.seed * 1000 + number)
        process = multiprocessing.get_context("fork").Process(target=client.run, args=(its,), daemon=True)
        process.start()
        its.close()
        return process, ours

    def last_words(self) -> Iterator[Any]:
        """What each client sends when it is told that it is enough."""
        for process, connection in self.clients:
            connection.send("enough")
            if not connection.poll(LAST_WORDS_SECONDS):
                self.problems.append("a client never came back")
                continue
            yield connection.recv()
            process.join()

    def check_entries(self, names: set[str]) -> Status:
        """There are these and no others, and ours are the same open files. Returns what the server says."""
        for name, descriptor in self.files.items():
            with self.store.retrieve(name) as found:
                if same_file_order(found.fileno(), descriptor) != SAME_FILE:
                    self.problems.append(f"{name} is another open file")
        there = {entry.name for entry in self.store.list()}
        if there != names:
            self.problems.append(f"left over: {sorted(there - names)}, lost: {sorted(names - there)}")
        status = self.store.status()
        if status.descriptors != len(names):
            self.problems.append(f"{status.descriptors} descriptors for {len(names)} entries")
        return status

    def check_descriptors(self, who: str, pid: int | None, entries: int, connections: int = 0) -> None:
        """A process has those of the entries, of the connections, and a few of its own."""
        has = len(os.listdir(f"/proc/{pid}/fd"))
        if not entries <= has <= entries + OWN_DESCRIPTORS + connections:
            self.problems.append(f"the {who} has {has} descriptors for {entries} entries")

    def end(self) -> None:
        """End the instance, and let go of what was in it."""
        subprocess.run([sys.executable, "-m", "fdstorefs", "umount", self.mount], check=True)
        for descriptor in self.files.values():
            os.close(descriptor)

    def said(self) -> str:
        """The log of all servers and keepers."""
        self.log.seek(0)
        return self.log.read()

    @contextlib.contextmanager
    def telling_of_failure(self) -> Iterator[None]:
        """What servers and keepers said last is shown where something fails."""
        try:
            yield
        except BaseException:
            print(self.said()[-4000:], file=sys.stderr)
            raise


@contextlib.contextmanager
def taken_away(mount: str) -> Iterator[None]:
    """Whatever happens, nothing is mounted there afterwards."""
    try:
        yield
    finally:
        for left in mounted_below(mount):
            unmount(left, lazy=True)


def run_as_told(torture: Callable[..., Any], description: str | None, **defaults: int) -> Any:
    """Torture as the command line says, at a mount of its own; the seed is shown, so that it can be done again."""
    parser = argparse.ArgumentParser(description=description)
    for option, default in defaults.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        mount = os.path.join(directory, "store")
        os.mkdir(mount)
        return torture(mount, **vars(options))
