"""One of many clients that use one instance at random, through the socket and the mount, for a while.

Usage: stress_client.py MOUNT NUMBER SECONDS. Its own names are `NUMBER-...`: of these it knows at every moment what
each must hold, and checks it. The names `shared/...` are everybody's: there any outcome that the interface allows is
right, but whatever is retrieved must be a file that somebody stashed there. Every file is a memfd that holds its token.
At the end it prints what its own names hold, as JSON, for the test to compare.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable

import fdstorefs
from fdstorefs.errors import EntryExists, NoSuchEntry, StoreError

NAMES = 12
SHARED = 6


class Client:
    """What one client does, and what it knows."""

    def __init__(self, mount: str, number: int) -> None:
        self.mount = mount
        self.number = number
        self.store = fdstorefs.connect(mount)
        self.random = random.Random(number)
        self.model: dict[str, str] = {}
        self.made = 0
        self.operations = 0

    def token(self) -> str:
        self.made += 1
        return f"token {self.number} {self.made}"

    def name(self) -> str:
        return f"{self.number}-{self.random.randrange(NAMES)}"

    def shared(self) -> str:
        return f"shared/{self.random.randrange(SHARED)}"

    def path(self, name: str) -> str:
        return f"{self.mount}/{name}"

    # Own names: the outcome is known beforehand

    def stash_by_socket(self) -> None:
        name, token = self.name(), self.token()
        with Memfd(token) as file:
            try:
                self.store.stash(name, file)
                expect(name not in self.model, f"{name} was overwritten")
                self.model[name] = token
            except EntryExists:
                expect(name in self.model, f"{name} should be free")

    def replace_by_socket(self) -> None:
        name, token = self.name(), self.token()
        with Memfd(token) as file:
            self.store.stash(name, file, replace=True)
        self.model[name] = token

    def stash_by_number(self) -> None:
        name, token = self.name(), self.token()
        with Memfd(token) as file, open(self.path(name), "w") as handle:
            handle.write(f"{file.fileno()}\n")
        self.model[name] = token

    def retrieve(self) -> None:
        name = self.name()
        try:
            with self.store.retrieve(name) as file:
                found = content(file.fileno())
        except NoSuchEntry:
            found = None
        expect(found == self.model.get(name), f"{name} holds {found}, not {self.model.get(name)}")

    def read_by_mount(self) -> None:
        name = self.name()
        try:
            with open(self.path(name), "rb", buffering=0) as handle:
                os.fstat(handle.fileno())
                expect(name in self.model, f"{name} should be gone")
        except FileNotFoundError:
            expect(name not in self.model, f"{name} is lost")

    def take(self) -> None:
        name = self.name()
        try:
            with self.store.take(name) as file:
                found = content(file.fileno())
        except NoSuchEntry:
            found = None
        expected = self.model.pop(name, None)
        expect(found == expected, f"took {found} from {name}, not {expected}")

    def discard(self) -> None:
        name = self.name()
        by_mount = self.random.random() < 0.5
        try:
            if by_mount:
                os.unlink(self.path(name))
            else:
                self.store.discard(name)
            expect(name in self.model, f"{name} was discarded twice")
            del self.model[name]
        except FileNotFoundError:
            expect(name not in self.model, f"{name} is lost")

    def rename(self) -> None:
        source, goal = self.name(), self.name()
        try:
            if self.random.random() < 0.5:
                os.rename(self.path(source), self.path(goal))
            else:
                self.store.rename(source, goal, replace=True)
            expect(source in self.model, f"{source} came from nowhere")
            self.model[goal] = self.model.pop(source)
        except FileNotFoundError:
            expect(source not in self.model, f"{source} is lost")

    # Names that all clients use: anything may have happened meanwhile

    def meet(self) -> None:
        name = self.shared()
        action = self.random.choice([self._leave, self._fetch, self._carry_off, self._move])
        try:
            action(name)
        except (FileNotFoundError, FileExistsError):
            return

    def _leave(self, name: str) -> None:
        with Memfd(f"shared {self.token()}") as file:
            self.store.stash(name, file, replace=self.random.random() < 0.5)

    def _fetch(self, name: str) -> None:
        with self.store.retrieve(name) as file:
            expect(content(file.fileno()).startswith("shared "), f"{name} holds what was never stashed there")

    def _carry_off(self, name: str) -> None:
        with self.store.take(name) as file:
            expect(content(file.fileno()).startswith("shared "), f"{name} holds what was never stashed there")

    def _move(self, name: str) -> None:
        os.rename(self.path(name), self.path(self.shared()))

    def work(self, seconds: float) -> None:
        """Do things at random until the time is over."""
        actions: list[Callable[[], None]] = [
            self.stash_by_socket,
            self.replace_by_socket,
            self.stash_by_number,
            self.retrieve,
            self.read_by_mount,
            self.take,
            self.discard,
            self.rename,
            self.meet,
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.random.choice(actions)()
            self.operations += 1


class Memfd:
    """A memfd that holds a token, closed on leaving."""

    def __init__(self, token: str) -> None:
        self.descriptor = os.memfd_create("token")
        os.write(self.descriptor, token.encode())

    def fileno(self) -> int:
        return self.descriptor

    def __enter__(self) -> "Memfd":
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self.descriptor)


def content(descriptor: int) -> str:
    """The token in a memfd, without moving its offset."""
    return os.pread(descriptor, 200, 0).decode()


def expect(condition: bool, complaint: str) -> None:
    """End this client, loudly, if the store and the model disagree."""
    if not condition:
        raise SystemExit(f"the store and the model disagree: {complaint}")


def main() -> None:
    mount, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    client = Client(mount, number)
    try:
        client.work(seconds)
    except StoreError as error:
        raise SystemExit(f"client {number}, operation {client.operations}: {error!r}") from error
    print(json.dumps({"operations": client.operations, "model": client.model}))


if __name__ == "__main__":
    main()
