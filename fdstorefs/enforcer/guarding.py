"""Guarding: what the kernel must know of an open file, found out by ourselves from the very descriptor.

A server is believed about names, labels and who stashed; never about what the file is or who opened it. Rows are there
before the class set that names them, and that before the tag: at no moment is a file less guarded than before.
"""

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
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
from fdstorefs.enforcer.book import Book, GuardedFile
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host.file_kind import FileFacts
from fdstorefs.host.user_database import INITIAL_USER_NAMESPACE
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person, Unknown, Userns
from fdstorefs.server.varlink.shares import Shares

log = logging.getLogger(__name__)

PER_UID, IN_ALL = 1 << 16, 1 << 18
"""Open files that one user's instances, and all, may have guarded."""

SET_ASIDE_SECONDS = 1.0
"""How long a class set stays that no file is tagged with any more: a decision takes microseconds."""

_WHY: Final = {
    errno.EPERM: "authority",
    errno.EMLINK: "too-many-instances",
    errno.ENOSPC: "no-room",
    errno.ENOMEM: "no-room",
}
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
        self._quota = Shares(PER_UID, IN_ALL)
        self._aside: deque[tuple[float, int]] = deque()

    # What servers ask for

    def guard(self, instance: Instance, fd: int, facts: FileFacts, names: Sequence[Name]) -> Outcome:
        """Have the file behind `fd`, of which `facts` are true, delivered as the policies allow it.

        Without names it is delivered to nobody.
        """
        look = self._kernel.look(fd, instance.number)
        opener = opener_of(look, instance)
        why = None
        if not look.authority:
            self._note_unguarded(instance, names)
            why = "authority"
        elif names:
            why = self._guard(instance, fd, look, entries_of(instance, facts, opener, names), names)
        else:
            why = self._tag(fd, instance, NO_CLASSES)
            self._retire(look.classes, instance)
        gid = instance.gids.to_instance(look.opener.gid) if look.opener.known & KNOWS_UID else None
        return Outcome(why is None, why, opener, gid)

    def release(self, instance: Instance, fd: int, inodes: Iterable[int] = ()) -> None:
        """The instance keeps the file behind `fd` no longer, nor entries that held it unguarded."""
        look = self._kernel.look(fd, instance.number)
        self._untag(fd, instance)
        self._retire(look.classes, instance)
        for inode in inodes:
            if self._book.take_entry(instance.number, inode, UNGUARDED):
                self._kernel.remove_entry(instance.device, inode)
                self._quota.take(instance.uid, -1)

    def _guard(
        self, instance: Instance, fd: int, look: Order, entries: tuple[EntryFacts, ...], names: Sequence[Name]
    ) -> str | None:
        inodes = frozenset(name.inode for name in names)
        known = self._book.get(look.classes)
        if known is not None and _is_of(known, instance, entries, inodes):
            self._book.touch(look.classes)
            self._move_entries(instance, look.classes, inodes)
            return None
        if not self._has_room(instance):
            return "no-room"
        try:
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
        self._move_entries(instance, number, inodes)
        self._retire(look.classes, instance)
        return None

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
        self._quota.take(instance.uid, 1)
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

    def _has_room(self, instance: Instance) -> bool:
        if self._quota.fits(instance.uid, 1):
            return True
        # Files that were closed without a word may still be counted.
        self._sweep()
        return False

    # Entries

    def _move_entries(self, instance: Instance, number: int, inodes: Collection[int]) -> None:
        for inode in inodes:
            self._give_entry(instance, inode, number)

    def _give_entry(self, instance: Instance, inode: int, number: int) -> None:
        former = self._book.owner(instance.number, inode)
        if former != number:
            self._kernel.put_entry(instance.device, inode, number)
            self._book.give_entry(instance.number, inode, number)
        if former == UNGUARDED != number:
            self._quota.take(instance.uid, -1)

    def _note_unguarded(self, instance: Instance, names: Sequence[Name]) -> None:
        """Entries of a file that bears no tag: the server decides alone who opens them."""
        for inode in {name.inode for name in names}:
            if self._book.owner(instance.number, inode) == UNGUARDED:
                continue
            if not self._quota.fits(instance.uid, 1):
                self._sweep()
                raise QuotaExceeded(f"uid {instance.uid} has {PER_UID} files guarded, or all have {IN_ALL}")
            self._give_entry(instance, inode, UNGUARDED)
            self._quota.take(instance.uid, 1)

    # What is used no more

    def _retire(self, number: int, instance: Instance) -> None:
        """Remove a class set, if it is one of ours, once nobody can be about to look it up."""
        file = self._book.get(number)
        if file is None or file.instance != instance.number:
            return
        for inode in file.inodes:
            if self._book.take_entry(instance.number, inode, number):
                self._kernel.remove_entry(instance.device, inode)
        self._book.set_aside(number)
        self._quota.take(instance.uid, -1)
        self._aside.append((time.monotonic() + SET_ASIDE_SECONDS, number))
        if len(self._aside) == 1:
            self._clear_at(self._aside[0][0])

    def clear(self, now: float | None = None) -> None:
        """Remove what has been set aside for long enough; `now` in seconds of time.monotonic()."""
        now = time.monotonic() if now is None else now
        while self._aside and self._aside[0][0] <= now:
            number = self._aside.popleft()[1]
            self._unput(number, self._book.remove(number))
        if self._aside:
            self._clear_at(self._aside[0][0])

    def retire_all(self, numbers: Iterable[int], instance: Instance) -> None:
        """The same for many."""
        for number in numbers:
            self._retire(number, instance)

    def end_entries(self, instance: Instance) -> None:
        """The instance's mount is gone, and its device number may soon be another's."""
        for inode in self._book.take_entries(instance.number):
            self._kernel.remove_entry(instance.device, inode)


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
    instance: Instance, facts: FileFacts, opener: Person, names: Iterable[Name]
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
                whole_chain(name.userns, instance.chain),
            ),
            opener,
            guarded=True,
        )
        for name in names
    )


def whole_chain(seen: Userns | None, instance: Userns) -> Userns | Unknown:
    """A user namespace and all above it, from what the instance could see; UNKNOWN if something is missing.

    What is not below the instance's own shows none above it, and could be below anything.
    """
    if not seen:
        return UNKNOWN
    if seen[-1] == instance[0]:
        return (*seen, *instance[1:])
    return seen if seen[-1] == INITIAL_USER_NAMESPACE else UNKNOWN
