"""Guarding: what the kernel must know of an open file, found out by ourselves from the very descriptor.

A server is believed about names, labels and who stashed; never about what the file is or who opened it. Rows are there
before the class set that names them, and that before the tag: at no moment is a file less guarded than before. What
was classified once is guarded until it is closed everywhere, since a server that says that it was discarded may be one
that lies.
"""

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fdstorefs.bpf.abi import (
    KNOWS_CAPABILITIES,
    KNOWS_UID,
    NO_CLASSES,
    UNGUARDED,
    ClassSet,
    Key,
    Order,
    Table,
)
from fdstorefs.bpf.abi import UNKNOWN as UNKNOWN_VALUE
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import TableSet, TooManyClasses, alternatives
from fdstorefs.enforcer.authority import held_chain, match_authority
from fdstorefs.enforcer.book import Book, GuardedFile
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.room import Cost, Room
from fdstorefs.host.file_kind import FileFacts
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person, Userns

log = logging.getLogger(__name__)

PER_UID, IN_ALL = 1 << 16, 1 << 18
"""Entries that one user's instances, and all, may have; and twice as many classes of open files."""

SWEEP_AFTER = 1 << 12
"""So many releases of what stays guarded until it is closed."""

SET_ASIDE_SECONDS = 1.0
"""How long a class set stays that no file is tagged with any more: a decision takes microseconds."""

_WHY: Final = {
    errno.EPERM: "authority",
    errno.EMLINK: "too-many-instances",
    errno.ENOSPC: "no-room",
    errno.ENOMEM: "no-room",
}
_AN_ENTRY: Final = Cost(entries=1)
_CLASS_ROWS = (
    (Table.TERMS, 0),
    (Table.STASHER_SAME, 0),
    (Table.STASHER_SAME, UNKNOWN_VALUE),
    (Table.OPENER_SAME, 0),
    (Table.OPENER_SAME, UNKNOWN_VALUE),
)
"""Every row that a class can have."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name as the server gives it: ids are the instance's, and what is not known is None."""

    path: str
    inode: int
    label: str | None
    uid: int | None
    capabilities: int | None
    userns: Userns | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `opener` in the instance's ids."""

    guarded: bool
    why: str | None
    opener: Person
    opener_gid: int | None


class Guarding:
    """Guards open files of registered instances.

    `sweep` looks for files that were closed without a word, `clear_at(seconds of time.monotonic())` calls `clear` then.
    """

    def __init__(
        self,
        kernel: KernelSide,
        book: Book,
        enforcement: Enforcement,
        *,
        sweep: Callable[[], None],
        clear_at: Callable[[float], None],
    ) -> None:
        self._kernel = kernel
        self._book = book
        self._enforcement = enforcement
        self._sweep = sweep
        self._clear_at = clear_at
        self._room = Room(PER_UID, IN_ALL)
        self._released = 0
        self._aside: deque[tuple[float, int]] = deque()

    # What servers ask for

    def guard(self, instance: Instance, fd: int, facts: FileFacts, names: Sequence[Name]) -> Outcome:
        """Have the file behind `fd`, of which `facts` are true, delivered as the policies allow it.

        It is not guarded unless somebody who stashed it may speak for its opener, and so may the instance's server.
        What is guarded stays so, under the names that it had last, when all of them have left.
        """
        look = self._kernel.look(fd, instance.number)
        opener = opener_of(look, instance)
        entries = entries_of(facts, opener, look, names)
        inodes = frozenset(name.inode for name in names)
        if look.authority and any(match_authority(each.stasher, look, instance) for each in entries):
            why = self._guard(instance, fd, look, entries, inodes)
        elif look.classes == NO_CLASSES:
            why = self._leave_unguarded(instance, fd, inodes)
        else:
            why = self._keep_guarded(instance, look.classes, inodes)
        gid = instance.gids.to_instance(look.opener.gid) if look.opener.known & KNOWS_UID else None
        return Outcome(why is None, why, opener, gid)

    def release(self, instance: Instance, fd: int, inodes: Iterable[int] = ()) -> None:
        """The instance keeps the file behind `fd` no longer, nor entries that held it unguarded.

        What was never classified is nobody's business from then on. What was stays guarded until it is closed, whatever
        a server says that may have a copy of it.
        """
        look = self._kernel.look(fd, instance.number)
        if look.classes == NO_CLASSES:
            self._untag(fd, instance)
        else:
            self._hold(instance, look.classes, frozenset())
            self._count_release()
        for inode in inodes:
            self._take_entry(instance, inode, UNGUARDED)

    def _count_release(self) -> None:
        # Most of what is released is closed soon, but only a sweep tells.
        self._released += 1
        if self._released >= SWEEP_AFTER:
            self._released = 0
            self._sweep()

    def _guard(
        self,
        instance: Instance,
        fd: int,
        look: Order,
        entries: tuple[EntryFacts, ...],
        inodes: frozenset[int],
    ) -> str | None:
        known = self._book.get(look.classes)
        if known is not None and _is_of(known, instance, entries, inodes):
            self._book.touch(look.classes)
            return self._hold(instance, look.classes, inodes)
        try:
            if not self._has_room(instance, inodes, len(alternatives(entries))):
                return "no-room"
            number = self._make(instance, entries, inodes)
        except TooManyClasses:
            return "too-many-names"
        except KernelError as error:
            log.error("a file of `%s` cannot be guarded: %s", instance.mount, error)
            return "no-room"
        why = self._tag(fd, instance, number)
        if why is not None:
            self._retire(number, instance)
            return why
        why = self._hold(instance, number, inodes)
        self._retire(look.classes, instance)
        return why

    def _make(self, instance: Instance, entries: tuple[EntryFacts, ...], inodes: frozenset[int]) -> int:
        """A new class set with all that belongs to it, rows first. Raises KernelError with nothing left behind."""
        kernel = self._kernel
        classes = tuple(kernel.numbers.next_class() for _ in alternatives(entries))
        file = GuardedFile(instance.number, entries, inodes, classes)
        made = kernel.numbers.next_class_set()
        try:
            self._put(made, file, self._enforcement.tables_of(instance))
        except KernelError:
            self._unput(made, file)
            raise
        self._book.add(made, file)
        self._room.take(instance.payer, Cost(classes=len(classes)))
        return made

    def _put(self, made: int, file: GuardedFile, tables: TableSet) -> None:
        self._enforcement.add_rows(list(tables.class_rows(file.classes, file.names)))
        for number, record in zip(file.classes, tables.class_records(file.names), strict=True):
            self._kernel.put_class(number, record)
        self._kernel.put_class_set(made, ClassSet(file.instance, file.classes))

    def _unput(self, number: int, file: GuardedFile) -> None:
        self._kernel.remove_class_set(number)
        for each in file.classes:
            self._kernel.remove_class(each)
        self._kernel.remove_rows(row_keys(file))

    def _tag(self, fd: int, instance: Instance, number: int) -> str | None:
        try:
            self._kernel.tag(fd, instance.number, number)
        except OSError as error:
            if error.errno not in _WHY:
                raise
            return _WHY[error.errno]
        return None

    def _untag(self, fd: int, instance: Instance) -> None:
        try:
            self._kernel.untag(fd, instance.number)
        except OSError as error:
            if error.errno not in _WHY:
                raise

    def _has_room(self, instance: Instance, inodes: frozenset[int], classes: int = 0) -> bool:
        new = sum(self._book.owner(instance.number, inode) is None for inode in inodes)
        if self._room.fits(instance.payer, Cost(new, classes)):
            return True
        # What was closed without a word may still be counted.
        self._sweep()
        return False

    # Entries

    def _hold(self, instance: Instance, number: int, inodes: frozenset[int]) -> str | None:
        """The open file with this class set is in these entries, and in no others; why not, if it isn't."""
        for inode in self._book.held_by(instance.number, number):
            if inode not in inodes:
                self._take_entry(instance, inode, number)
        file = self._book.get(number)
        if file is not None and file.instance == instance.number:
            self._book.change_entries(number, inodes)
        try:
            for inode in inodes:
                self._give_entry(instance, inode, number)
        except KernelError as error:
            log.error("entries of `%s` cannot be guarded: %s", instance.mount, error)
            return "no-room"
        return None

    def _give_entry(self, instance: Instance, inode: int, number: int) -> None:
        former = self._book.owner(instance.number, inode)
        if former == number:
            return
        self._kernel.put_entry(instance.device, inode, number)
        self._book.give_entry(instance.number, inode, number)
        if former is None:
            self._room.take(instance.payer, _AN_ENTRY)

    def _take_entry(self, instance: Instance, inode: int, number: int) -> None:
        if self._book.take_entry(instance.number, inode, number):
            self._kernel.remove_entry(instance.device, inode)
            self._room.give_back(instance.payer, _AN_ENTRY)

    def _keep_guarded(self, instance: Instance, number: int, inodes: frozenset[int]) -> str | None:
        """Nobody is left for whom it may be guarded. Whoever says so has it, and might hand it on."""
        if number in self._book:
            self._book.touch(number)
        if not self._has_room(instance, inodes):
            return "no-room"
        return self._hold(instance, number, inodes)

    def _leave_unguarded(self, instance: Instance, fd: int, inodes: frozenset[int]) -> str:
        """The server has withheld it from everybody when it came. It decides alone who opens its entries."""
        if not self._has_room(instance, inodes):
            return "no-room"
        self._untag(fd, instance)
        try:
            for inode in inodes:
                self._give_entry(instance, inode, UNGUARDED)
        except KernelError as error:
            log.error("entries of `%s` cannot be noted: %s", instance.mount, error)
            return "no-room"
        return "authority"

    # What is used no more

    def _retire(self, number: int, instance: Instance) -> None:
        """Remove a class set, if it is one of ours, once nobody can be about to look it up."""
        file = self._book.get(number)
        if file is None or file.instance != instance.number or not self._book.is_current(number):
            return
        self.empty(instance, number)
        self._book.set_aside(number)
        self._room.give_back(instance.payer, Cost(classes=len(file.classes)))
        self._aside.append((time.monotonic() + SET_ASIDE_SECONDS, number))
        if len(self._aside) == 1:
            self._clear_at(self._aside[0][0])

    def clear(self, now: float | None = None) -> None:
        """Remove what has been set aside for long enough; `now` in seconds of time.monotonic()."""
        now = time.monotonic() if now is None else now
        try:
            while self._aside and self._aside[0][0] <= now:
                number = self._aside.popleft()[1]
                self._unput(number, self._book.remove(number))
        finally:
            if self._aside:
                self._clear_at(self._aside[0][0])

    def retire_all(self, numbers: Iterable[int], instance: Instance) -> None:
        """The same for many."""
        for number in numbers:
            self._retire(number, instance)

    def empty(self, instance: Instance, number: int) -> None:
        """No entry holds the open file with this class set any more."""
        for inode in self._book.held_by(instance.number, number):
            self._take_entry(instance, inode, number)

    def end_entries(self, instance: Instance) -> None:
        """The instance's mount is gone, and its device number may soon be another's."""
        for inode in self._book.take_entries(instance.number):
            self._room.give_back(instance.payer, _AN_ENTRY)
            self._kernel.remove_entry(instance.device, inode)

    # After a restart

    def restore(self, instance: Instance, number: int, file: GuardedFile) -> None:
        """A file that a former enforcer guarded. What the kernel has of it stays."""
        self._book.add(number, file)
        self._room.take(instance.payer, Cost(classes=len(file.classes)))

    def restore_entry(self, instance: Instance, inode: int, number: int) -> None:
        """Likewise an entry that the kernel has."""
        self._book.give_entry(instance.number, inode, number)
        self._room.take(instance.payer, _AN_ENTRY)


def _is_of(
    file: GuardedFile, instance: Instance, names: tuple[EntryFacts, ...], inodes: frozenset[int]
) -> bool:
    return (file.instance, file.names, file.inodes) == (instance.number, names, inodes)


def row_keys(file: GuardedFile) -> list[Key]:
    """The keys of all rows of a file's classes."""
    return [Key(table, number, value) for number in file.classes for table, value in _CLASS_ROWS]


def opener_of(look: Order, instance: Instance) -> Person:
    """Who opened a file, in the instance's ids."""
    who = look.opener
    uid = instance.uids.to_instance(who.uid) if who.known & KNOWS_UID else None
    return Person(
        uid=UNKNOWN if uid is None else uid,
        capabilities=who.capabilities if who.known & KNOWS_CAPABILITIES else UNKNOWN,
        userns=look.chain.numbers or UNKNOWN,
    )


def entries_of(
    facts: FileFacts, opener: Person, look: Order, names: Iterable[Name]
) -> tuple[EntryFacts, ...]:
    """An open file under each of its names, as policies speak of it."""
    return tuple(
        EntryFacts(
            name.path,
            str(facts.kind),
            UNKNOWN if facts.filesystem is None else facts.filesystem,
            facts.access,
            name.label,
            Person(
                UNKNOWN if name.uid is None else name.uid,
                UNKNOWN if name.capabilities is None else name.capabilities,
                held_chain(name.userns, look.chain.numbers),
            ),
            opener,
            guarded=True,
        )
        for name in names
    )
