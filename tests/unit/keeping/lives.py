"""A store with real open files that is kept, and its next life after a crash at any point."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence

from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import Overloaded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeping.keeping import Keeping, read
from tests.unit.core.driven import Driven
from tests.unit.core.people import Clock

LIMIT = 4096


class Holding:
    """What the keeper holds: copies, by number. What is dropped in an operation it holds until the next one begins.

    So it can be asked what it held before the operation's record was written: nothing is dropped earlier.
    """

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.leaving: dict[int, int] = {}
        self.memory = -1
        self.refuses = False

    def keep(
        self,
        numbers: Sequence[int],
        descriptors: Sequence[int],
        slow: bool = False,
        foreign: Collection[int] = (),
    ) -> None:
        if self.refuses:
            raise Overloaded("the keeper is busy")
        for number, descriptor in zip(numbers, descriptors, strict=True):
            assert number not in self.held
            self.held[number] = os.dup(descriptor)

    def drop(self, numbers: Sequence[int], slow: bool = False) -> None:
        for number in numbers:
            self.leaving[number] = self.held.pop(number)

    def journal(self, descriptor: int) -> None:
        if self.refuses:
            raise Overloaded("the keeper is busy")
        if self.memory >= 0:
            os.close(self.memory)
        self.memory = os.dup(descriptor)

    def begin_operation(self) -> None:
        """Close what was dropped."""
        for descriptor in self.leaving.values():
            os.close(descriptor)
        self.leaving.clear()

    def copies(self, *, before_the_last_record: bool = False) -> dict[int, int]:
        """Copies of all that it holds, as a new server gets them."""
        held = self.held | self.leaving if before_the_last_record else self.held
        return {number: os.dup(descriptor) for number, descriptor in held.items()}

    def close(self) -> None:
        """Let go of everything."""
        self.begin_operation()
        for descriptor in self.held.values():
            os.close(descriptor)
        if self.memory >= 0:
            os.close(self.memory)


class Life:
    """One life of a server: store, intake, and what is to be done when it is idle."""

    def __init__(self) -> None:
        self.descriptors = Descriptors()
        self.intake = Intake(self.descriptors, RecursionGuard(None, os.getpid(), self.descriptors), LIMIT)
        self.store = Store(uid=0, gid=0, clock=Clock(), mode=0o777, limits=Limits())
        self.idle: list[Callable[[], bool]] = []

    def rest(self) -> None:
        """Do a little of what can wait."""
        if self.idle and not self.idle[0]():
            self.idle.pop(0)

    def end(self) -> None:
        """Close everything that it has."""
        self.intake.let_go = None
        for file in self.intake.stored:
            while file.holds:
                file.drop()
        self.descriptors.drain(5)


class Kept(Driven):
    """A store that is kept, driven step by step; its files are memfds and, all on one inode, eventfds."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()
        self.store = self.life.store
        self.holding = Holding()
        self.keeping = Keeping.begin(self.holding)
        self.keeping.attach(self.store, self.life.intake, self.life.idle.append)
        self.life.rest()
        self.before_last = self.keeping_end
        self._open: dict[int, OpenFile] = {}

    @property
    def keeping_end(self) -> tuple[int, int]:
        """The journal's inode number, and where its records end."""
        data = read(self.holding.memory)
        return os.fstat(self.holding.memory).st_ino, data.contents.end

    def file(self, number: int) -> OpenFile:
        file = self._open.get(number)
        if file is None or file.holds == 0:
            made = os.eventfd(0) if number else os.memfd_create("x")
            file = self._open[number] = self.life.intake.accept(made)
        return file

    def do(self, step: str, *arguments: object) -> None:
        self.holding.begin_operation()
        self.before_last = self.keeping_end
        try:
            super().do(step, *arguments)
        finally:
            for file in self._open.values():
                self.life.intake.reject(file) if file in self.life.intake.stored else None

    def refuse(self, refuses: bool) -> None:
        self.holding.refuses = refuses

    def idle(self) -> None:
        self.life.rest()

    def end(self) -> None:
        """Close everything."""
        self.life.end()
        self.keeping.close()
        self.holding.close()


class NextLife:
    """The server after a crash of the one before: of its journal there is `data`."""

    def __init__(self, data: bytes, held: dict[int, int]) -> None:
        self.life = Life()
        self.holding = Holding()
        self.holding.held = {number: os.dup(descriptor) for number, descriptor in held.items()}
        memory = os.memfd_create("journal")
        os.write(memory, data)
        self.restored = read(memory)
        self.keeping, self.rebuilt = Keeping.resume(
            self.holding, self.restored, held, self.life.store, self.life.intake
        )
        self.keeping.attach(self.life.store, self.life.intake, self.life.idle.append)

    def end(self) -> None:
        """Close everything."""
        self.life.end()
        self.keeping.close()
        self.holding.close()


def nodes_of(store: Store) -> Iterator[Entry | Box]:
    """Everything that has a name."""
    for node in store.tree.nodes.values():
        if node.is_attached if isinstance(node, Box) else node.is_named:
            yield node


def picture(store: Store) -> dict[int, tuple[object, ...]]:
    """All that is to outlive a server, by the number of the node."""
    return {node.ino: _told(node) for node in nodes_of(store)}


def _told(node: Entry | Box) -> tuple[object, ...]:
    common = (node.uid, node.gid, node.mode, node.created, node.changed, node.stasher)
    if isinstance(node, Box):
        return (*common, node.path, node.sealed, sorted(node.children))
    places = tuple((box.ino, name) for box, name in node.places)
    return (*common, places, node.label, _facts(node.file) if node.file is not None else None)


def _facts(file: OpenFile) -> tuple[object, ...]:
    return (
        file.number,
        file.kind,
        file.device,
        file.inode,
        file.access,
        file.filesystem,
        file.guarded,
        file.unguarded,
        file.opener,
        file.may_block_on_close,
        file.pollable,
        file.kept,
        file.holds,
        {entry.ino for entry in file.entries},
    )
