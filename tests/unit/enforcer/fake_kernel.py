"""A kernel that remembers what it is told, in place of the real one: it enforces nothing, and checks what it is given.

What it insists on: rows before the class set that names them, class sets before tags, an instance and its rows before a
server's role, and that nothing is taken away that is still in use.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from fdstorefs.bpf.abi import (
    NO_CLASSES,
    ClassRecord,
    ClassSet,
    EntryKey,
    Event,
    InstanceRecord,
    Key,
    Order,
    Role,
    RoleKind,
    Row,
    Slot,
    Table,
    Tag,
)
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import Profile

HOOKS = ("file_fcntl", "file_receive")
Rows = dict[Key, Row]


class FakeNumbers:
    """Counts."""

    def __init__(self) -> None:
        self._next = dict.fromkeys(("instance", "class", "set", "generation"), 0)

    def _count(self, which: str) -> int:
        self._next[which] += 1
        return self._next[which]

    def next_instance(self) -> int:
        return self._count("instance")

    def next_class(self) -> int:
        return self._count("class")

    def next_class_set(self) -> int:
        return self._count("set")

    def next_generation(self) -> int:
        return self._count("generation")


@dataclass
class FakeRing:
    """A ring that a test fills."""

    events: list[Event] = field(default_factory=list)
    fd: int = field(default_factory=lambda: os.eventfd(0))

    def fileno(self) -> int:
        return self.fd

    def read(self, most: int) -> list[Event]:
        taken, self.events = self.events[:most], self.events[most:]
        return taken


class FakeKernel:
    """`files` is what it knows of open files, by inode number: who opened them and whether they may be tagged."""

    def __init__(self) -> None:
        self.ring = FakeRing()
        self.numbers = FakeNumbers()
        self.lockdown = False
        self.attached: tuple[str, ...] = ()
        self.generation = 0
        self.profile: Profile | None = None
        self.loaded: Profile | None = None
        self.loads = 0
        self.rows: Rows = {}
        self.room: int | None = None
        self.is_broken = False
        self.roles: dict[int, Role] = {}
        self.known_instances: dict[int, InstanceRecord] = {}
        self.known_mounts: dict[int, int] = {}
        self.known_entries: dict[tuple[int, int], int] = {}
        self.classes: dict[int, ClassRecord] = {}
        self.sets: dict[int, ClassSet] = {}
        self.files: dict[int, Order] = {}
        self.tags: dict[int, dict[int, int]] = {}
        self.tag_error: int | None = None
        self.lost_records = 0
        self.records_allowed = False
        self.log: list[str] = []

    # Programs and generations

    def load(self, profile: Profile, *, lockdown: bool) -> None:
        self.loads += 1
        self.loaded, self.lockdown = profile, lockdown

    def unload(self) -> None:
        self.loaded = None

    def publish(self, rows: Iterable[tuple[Key, Row]], generation: int) -> None:
        made = dict(rows)
        if self.is_broken:
            raise KernelError("update", "cannot", where="rows", why="broken", hint="mend it")
        self.rows, self.generation = made, generation
        self.log.append(f"publish {generation}")

    def attach(self) -> tuple[str, ...]:
        assert self.loaded is not None
        self.profile, self.loaded, self.attached = self.loaded, None, HOOKS
        return HOOKS

    def set_record_allowed(self, allowed: bool) -> None:
        self.records_allowed = allowed

    def add_rows(self, rows: Iterable[tuple[Key, Row]]) -> None:
        for key, row in rows:
            if self.room is not None and len(self.rows) >= self.room:
                self.room = None
                raise KernelError("rows-full", "full", where="rows", why="full", hint="publish")
            self.rows[key] = row

    def remove_rows(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.rows.pop(key, None)

    # Processes and instances

    def set_role(self, pidfd: int, kind: RoleKind, instance: int) -> None:
        assert instance in self.known_instances
        assert Key(Table.SET, instance) in self.rows
        self.roles[pidfd_of(pidfd)] = Role(kind, instance)

    def role(self, pidfd: int) -> Role | None:
        return self.roles.get(pidfd_of(pidfd))

    def clear_role(self, pidfd: int) -> None:
        self.roles.pop(pidfd_of(pidfd), None)

    def put_instance(self, number: int, record: InstanceRecord) -> None:
        record.pack()
        self.known_instances[number] = record

    def instances(self) -> dict[int, InstanceRecord]:
        return dict(self.known_instances)

    def remove_instance(self, number: int) -> None:
        self.known_instances.pop(number, None)

    def put_mount(self, device: int, instance: int) -> None:
        self.known_mounts[device] = instance

    def remove_mount(self, device: int) -> None:
        self.known_mounts.pop(device, None)

    def mounts(self) -> dict[int, int]:
        return dict(self.known_mounts)

    def instance_on(self, device: int) -> int | None:
        return self.known_mounts.get(device)

    def put_entry(self, device: int, inode: int, class_set: int) -> None:
        self.known_entries[device, inode] = class_set

    def remove_entry(self, device: int, inode: int) -> None:
        self.known_entries.pop((device, inode), None)

    def entries(self) -> Iterator[tuple[EntryKey, int]]:
        return ((EntryKey(*key), value) for key, value in self.known_entries.items())

    # Classes and tags

    def put_class(self, number: int, record: ClassRecord) -> None:
        assert Key(Table.TERMS, number) in self.rows
        record.pack()
        self.classes[number] = record

    def remove_class(self, number: int) -> None:
        self.classes.pop(number, None)

    def put_class_set(self, number: int, class_set: ClassSet) -> None:
        assert all(each in self.classes for each in class_set.classes)
        self.sets[number] = class_set

    def remove_class_set(self, number: int) -> None:
        assert number not in self.sets_in_use(), "a file is still tagged with it"
        assert number not in self.known_entries.values(), "an entry is still judged by it"
        self.sets.pop(number, None)

    def class_sets(self) -> Iterator[tuple[int, ClassSet]]:
        return iter(tuple(self.sets.items()))

    def sets_in_use(self) -> set[int]:
        return {number for slots in self.tags.values() for number in slots.values()}

    def look(self, fd: int, instance: int) -> Order:
        inode = os.fstat(fd).st_ino
        classes = self.tags.get(inode, {}).get(instance, NO_CLASSES)
        return replace(self.files[inode], instance=instance, classes=classes)

    def tag(self, fd: int, instance: int, class_set: int) -> None:
        if self.tag_error is not None:
            raise OSError(self.tag_error, os.strerror(self.tag_error))
        assert class_set == NO_CLASSES or class_set in self.sets
        self.tags.setdefault(os.fstat(fd).st_ino, {})[instance] = class_set

    def untag(self, fd: int, instance: int) -> None:
        if self.tag_error == errno.EPERM:
            raise OSError(errno.EPERM, "not yours")
        self.tags.get(os.fstat(fd).st_ino, {}).pop(instance, None)

    def tagged(self) -> Iterator[Tag]:
        for slots in self.tags.values():
            yield Tag(tuple(Slot(instance, number) for instance, number in slots.items()))

    def lost(self) -> int:
        return self.lost_records

    def close(self) -> None:
        """Nothing to give back."""


def pidfd_of(pidfd: int) -> int:
    """The process behind a pidfd."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
