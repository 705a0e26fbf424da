"""A client that never rests, and knows what it must find.

What was acknowledged is there, and is the same open file (kcmp); what was not has happened or not, but whole. An entry
that expires is there until its time and not after it, and one whose other side has hung up goes soon.
"""

import errno
import os
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import fdstorefs
from fdstorefs.host.descriptors import raise_limit
from tests.mount.keeper.soak.files import WITH_PEER, new_item
from tests.mount.keeper.soak.model import Item, Model, State, now
from tests.mount.tortured import PATIENCE_SECONDS, connect, repeat

FEW, MANY = 24, 160
"""Entries of one client: it stashes below, and takes away above."""

TOLD_EVERY = 250
"""Operations, after which a client says how far it is."""

CHECKED_EVERY = 1000
"""Operations, after which it looks at the names of all its entries."""

MOST_TAKEN = 8
"""Entries that a client takes in one call."""

_LOST = (fdstorefs.NoInstance, fdstorefs.ProtocolError)
_AWAY = frozenset(
    {
        errno.ENOTCONN,
        errno.ECONNABORTED,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EIO,
        errno.EINTR,
        errno.EXDEV,
    }
)
"""What a mount answers whose server is dead, and what is beneath it; or one of two names is there and one beneath."""


class _MountAway(Exception):
    """Nobody answered through the mount."""


class Client:
    """One process. `beneath` is a descriptor of the directory that is mounted on."""

    def __init__(self, mount: str, number: int, seed: int, beneath: int) -> None:
        self.mount = mount
        self.prefix = f"c{number}-"
        self.random = random.Random(seed)
        self.model = Model()
        self.sealed: list[tuple[str, dict[str, Item]]] = []
        self.taken: set[str] = set()
        self.still_there = 0
        self.problems: list[str] = []
        self.unanswered = 0
        self.refused = 0
        self.calls = 0
        self._beneath = beneath
        self._counter = 0

    def run(self, told: Connection, operations: int) -> None:
        """So many operations; in the end everything is taken away again."""
        raise_limit()
        self.store = connect(self.mount)
        done = since = checked = 0
        while done < operations and not self.problems:
            more = self._step()
            done, since, checked = done + more, since + more, checked + more
            if since >= TOLD_EVERY:
                told.send(since)
                since = 0
            if checked >= CHECKED_EVERY:
                self._check_all()
                checked = 0
        self._check_all()
        self._clear()
        told.send((since, self.calls, self.unanswered, self.refused, self.still_there, self.problems))

    def _step(self) -> int:
        """Do something; how many operations that was: one for each entry that was dealt with."""
        firm = len(self.model.firm())
        if firm < FEW:
            return self._stash()
        if firm > MANY:
            return self._discard()
        (way,) = self.random.choices(_WAYS, _WEIGHTS)
        return way(self)

    # Ways

    def _stash(self) -> int:
        items = {self._new_name(): new_item(self.random) for _ in range(self.random.choice((1, 1, 2, 8, 32)))}
        self._stash_all(items, self.model)
        return len(items)

    def _stash_all(self, items: dict[str, Item], model: Model) -> None:
        expires = self.random.uniform(0.05, 1.5) if self.random.random() < 0.2 else None
        polled = self.random.random() < 0.8
        for item in items.values():
            item.polled = polled
            item.expires_from = None if expires is None else now() + expires
        files = {name: item.fd for name, item in items.items()}
        self._change(lambda: self.store.stash_many(files, expires=expires, poll=polled), items, model)
        for item in items.values():
            item.gone_by = None if expires is None else now() + expires

    def _replace(self) -> int:
        name, item = self._some(), new_item(self.random)
        former = self.model.names[name]
        item.polled = former.polled
        # The entry has it from then on, under all its names.
        after = {other: item for other, found in self.model.names.items() if found is former}
        self._change(lambda: self.store.stash(name, item.fd, replace=True), after)
        return 1

    def _retrieve(self) -> int:
        name = self.random.choice(list(self.model.names))
        self._expect(name)
        return 1

    def _retrieve_many(self) -> int:
        names = self.random.sample(self.model.firm(), 8)
        self.calls += 1
        try:
            found = repeat(self.store, lambda store: store.retrieve_many(names))
        except fdstorefs.NoSuchEntry as error:
            self.problems.append(f"lost: {error}")
            return 0
        for name, file in found.items():
            with file:
                if not self.model.names[name].is_same(file.fileno()):
                    self.problems.append(f"{name} is another open file")
        return len(names)

    def _take(self) -> int:
        name = self._some()
        self._change(lambda: self.store.take(name).close(), {name: None})
        self.taken.add(name)
        return 1

    def _take_many(self) -> int:
        names = self.random.sample(self.model.firm(), MOST_TAKEN)

        def take() -> None:
            for file in self.store.take_many(names).values():
                file.close()

        self._change(take, dict.fromkeys(names))
        self.taken.update(names)
        return len(names)

    def _discard(self) -> int:
        firm = self.model.firm()
        names = self.random.sample(firm, min(len(firm), self.random.choice((1, 1, 2, 8, 32))))
        self._change(lambda: self.store.discard(*names), dict.fromkeys(names))
        return len(names)

    def _rename(self) -> int:
        name, goal = self._some(), self._new_name()
        through_mount = self.random.random() < 0.3
        how = self._through_mount(os.rename, name, goal) if through_mount else None
        self._change(
            how or (lambda: self.store.rename(name, goal)), {name: None, goal: self.model.names[name]}
        )
        return 1

    def _link(self) -> int:
        name, goal = self._some(), self._new_name()
        item = self.model.names[name]
        if item.links > 8:
            return 0
        through_mount = self.random.random() < 0.3
        how = self._through_mount(os.link, name, goal) if through_mount else None
        self._change(how or (lambda: self.store.link(name, goal)), {goal: item})
        return 1

    def _unlink(self) -> int:
        name = self._some()
        self._change(self._through_mount(os.unlink, name), {name: None})
        return 1

    def _write_number(self) -> int:
        name, item = self._new_name(), new_item(self.random)
        self._change(lambda: self._write(name, item.fd), {name: item})
        return 1

    def _write(self, name: str, descriptor: int) -> None:
        try:
            handle = os.open(f"{self.mount}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            raise _away(error) from error
        try:
            if os.fstat(handle).st_dev == os.fstat(self._beneath).st_dev:
                os.unlink(name, dir_fd=self._beneath)
                raise _MountAway
            os.write(handle, b"%d\n" % descriptor)
        except OSError as error:
            raise _away(error) from error
        finally:
            os.close(handle)

    def _look_through_mount(self) -> int:
        path = f"{self.mount}/{self._some()}"
        try:
            os.stat(path)
            os.getxattr(path, "user.fdstorefs.kind")
            os.listdir(self.mount)
        except OSError as error:
            _away(error)
        return 1

    def _hang_up(self) -> int:
        name, item = self._new_name(), self.random.choice(WITH_PEER)()
        self._change(lambda: self.store.stash(name, item.fd), {name: item})
        for item in {item for item in self.model.names.values() if item.peer >= 0 and item.is_firm}:
            if self.random.random() < 0.3:
                item.hang_up()
        return 1

    def _expire_soon(self) -> int:
        name, seconds = self._some(), self.random.uniform(0.02, 0.5)
        item = self.model.names[name]
        item.expires_from = now() + seconds
        try:
            os.setxattr(f"{self.mount}/{name}", "user.fdstorefs.expires", f"{seconds:.3f}s".encode())
        except OSError as error:
            # Whether it was told, nobody knows.
            _away(error)
        else:
            item.gone_by = now() + seconds
        return 1

    def _watch(self) -> int:
        name, item = self._new_name(), Item(os.memfd_create("watched"))
        try:
            with self.store.watch(f"{name}*") as watch:
                self._change(lambda: self.store.stash(name, item.fd), {name: item})
                self._change(lambda: self.store.discard(name), {name: None})
                told = [change.change for change in (watch.wait(PATIENCE_SECONDS), watch.wait(0)) if change]
        except (*_LOST, fdstorefs.Overloaded):
            return 2
        if told[:1] not in ([], ["stashed"]):
            self.problems.append(f"a watch told of {told}")
        return 2

    def _connect_anew(self) -> int:
        self.store.close()
        self.store = connect(self.mount)
        return 1

    def _seal(self) -> int:
        """Make a box with entries, some of which are to go, and seal it; and have an older one open again."""
        box = self._new_name()
        self._until_done(lambda: self.store.make_box(box), fdstorefs.EntryExists)
        items = {f"{box}/{number}": new_item(self.random) for number in range(4)}
        inside = Model()
        self._stash_all(items, inside)
        self._until_done(lambda: self.store.seal(box))
        self.sealed.append((box, dict(inside.names)))
        if len(self.sealed) > 3:
            self._unseal(*self.sealed.pop(0))
        return 6

    def _unseal(self, box: str, items: dict[str, Item]) -> None:
        self._until_done(lambda: self.store.unseal(box))
        inside = Model(items)
        self._check(f"{box}/*", inside)
        while inside.names:
            self._change(lambda: self.store.discard(*inside.names), dict.fromkeys(inside.names), inside)
            self._check(f"{box}/*", inside)
        self._until_done(lambda: self.store.remove_box(box), fdstorefs.NoSuchEntry)

    # Changes

    def _change(self, what: Callable[[], Any], after: State, model: Model | None = None) -> None:
        """Do it. What nobody has answered has happened or not, but whole."""
        model = model or self.model
        self.calls += 1
        try:
            what()
        except (*_LOST, _MountAway):
            self.unanswered += 1
            happened = self._has_happened(model, after)
        except fdstorefs.Overloaded:
            self.refused += 1
            happened = False
        except fdstorefs.NoSuchEntry as error:
            happened = self._explained(model, after, error)
        else:
            happened = True
        if happened:
            model.apply(after)
        # One that replaces another comes under all the names that this has.
        for item in {item for item in after.values() if item is not None and not item.links}:
            item.close()

    def _has_happened(self, model: Model, after: State) -> bool:
        before = model.before(after)
        there = {name: self._which(name, before[name], after[name]) for name in after}
        for state, outcome in ((after, True), (before, False)):
            if all(item in there[name] for name, item in state.items()):
                return outcome
        self.problems.append(f"part of a call only: {there}")
        return False

    def _which(self, name: str, *candidates: Item | None) -> list[Item | None]:
        """Which of them it can be."""
        with_nothing = [item for item in candidates if item is None or item.may_be_gone]
        try:
            found = repeat(self.store, lambda store: store.retrieve(name))
        except fdstorefs.NoSuchEntry:
            return [item for item in candidates if item is None or item.may_be_gone]
        except fdstorefs.EmptyEntry:
            self._until_done(lambda: self.store.discard(name), fdstorefs.NoSuchEntry)
            return with_nothing
        with found:
            return [item for item in candidates if item is not None and item.is_same(found.fileno())]

    def _explained(self, model: Model, after: State, error: Exception) -> bool:
        items = [item for item in model.before(after).values() if item is not None]
        if not any(item.may_be_gone for item in items):
            self.problems.append(f"lost: {error}")
        return False

    def _until_done(self, what: Callable[[], Any], *done: type[Exception]) -> None:
        """Again and again; `done` tells that it was, in a call that nobody answered."""
        self.calls += 1
        try:
            repeat(self.store, lambda _store: what())
        except done:
            return

    # Looking

    def _expect(self, name: str) -> None:
        item, asked = self.model.names[name], now()
        self.calls += 1
        try:
            with repeat(self.store, lambda store: store.retrieve(name)) as found:
                if not item.is_same(found.fileno()):
                    self.problems.append(f"{name} is another open file")
        except fdstorefs.NoSuchEntry:
            if not item.may_be_gone:
                self.problems.append(f"{name} is lost")
        else:
            if item.is_gone_at(asked):
                self.problems.append(f"{name} is there after its time")

    def _check_all(self) -> None:
        there = self._check(f"{self.prefix}*", self.model, self.taken | {name for name, _ in self.sealed})
        self._give_back((there & self.taken) - set(self.model.names))
        self.taken.clear()

    def _give_back(self, names: set[str]) -> None:
        """What was taken may be there still if the server died as soon as it had been sent; see docs/keeper.md."""
        self.still_there += len(names)
        for name in names:
            self._until_done(lambda name=name: self.store.discard(name), fdstorefs.NoSuchEntry)

    def _check(self, pattern: str, model: Model, others: frozenset[str] | set[str] = frozenset()) -> set[str]:
        """There is what must be there, and nothing else but `others`; and wait until what has hung up is gone.

        Returns what is there.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            asked = now()
            there = {
                entry.name for entry in repeat(self.store, lambda store: store.list(pattern, details=False))
            }
            wrong = self._wrong(model, there, others, asked)
            if not wrong or time.monotonic() > until:
                break
            time.sleep(0.01)
        self.problems += wrong
        gone = [name for name in model.names if name not in there]
        model.apply(dict.fromkeys(gone))
        return there

    def _wrong(
        self, model: Model, there: set[str], others: frozenset[str] | set[str], asked: float
    ) -> list[str]:
        stray = [f"left over: {name}" for name in sorted(there - others - set(model.names))]
        lost = [
            f"lost: {name}"
            for name, item in model.names.items()
            if name not in there and not item.may_be_gone
        ]
        late = [
            f"still there: {name}"
            for name, item in model.names.items()
            if name in there and (item.hung_up or item.is_gone_at(asked))
        ]
        return stray + lost + late

    def _clear(self) -> None:
        for box, items in self.sealed:
            self._unseal(box, items)
        self.sealed = []
        names = list(self.model.names)
        for start in range(0, len(names), 64):
            for name in names[start : start + 64]:
                self._until_done(lambda name=name: self.store.discard(name), fdstorefs.NoSuchEntry)
        self.model.close()
        self.store.close()

    def _some(self) -> str:
        return self.random.choice(self.model.firm())

    def _new_name(self) -> str:
        self._counter += 1
        return f"{self.prefix}{self._counter}"

    def _through_mount(self, call: Callable[..., None], *names: str) -> Callable[[], None]:
        def do() -> None:
            try:
                call(*(f"{self.mount}/{name}" for name in names))
            except OSError as error:
                raise _away(error) from error

        return do


def _away(error: OSError) -> _MountAway:
    if error.errno not in _AWAY:
        raise error
    return _MountAway()


_WEIGHED: dict[Callable[[Client], int], float] = {
    Client._stash: 10,
    Client._retrieve: 20,
    Client._retrieve_many: 12,
    Client._take: 5,
    Client._take_many: 5,
    Client._discard: 6,
    Client._replace: 6,
    Client._rename: 5,
    Client._link: 4,
    Client._unlink: 2,
    Client._write_number: 3,
    Client._look_through_mount: 2,
    Client._hang_up: 5,
    Client._expire_soon: 3,
    Client._watch: 1,
    Client._connect_anew: 1,
    Client._seal: 1,
}
_WAYS, _WEIGHTS = list(_WEIGHED), list(_WEIGHED.values())
