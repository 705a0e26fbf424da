"""The structs and numbers of abi.h as Python has them: what each means stands there.

A test compares every size, offset and number with what the C compiler makes of abi.h.
"""

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from fdstorefs.bpf.layout import (
    FLAG,
    PAD,
    U32,
    U64,
    Layout,
    Record,
    array,
    length_of,
    record,
    records,
    text,
    vector,
)

ABI = 1
MAGIC = 0x46445331
MOST_WORDS = 16
OTHER = 1 << 63
UNKNOWN = 1 << 63 | 1
OPEN = 1 << 63 | 2

ENFORCING = 0x1
ALL_ENFORCED = 0x2
LIMITS_CONNECT = 0x4
USES_UID = 0x100
USES_GID = 0x200
USES_USERNS = 0x400
USES_CGROUP = 0x800
USES_CAPABILITIES = 0x1000
USES_STASHER_SAME = 0x2000
USES_STASHER_USERNS = 0x4000
USES_OPENER_SAME = 0x8000
USES_OPENER_USERNS = 0x10000
USES_NO_MORE = 0x20000
USES_ALL = 0x3FF00

KNOWS_UID = 0x1
KNOWS_CAPABILITIES = 0x2
KNOWS_USERNS = 0x4
IS_OPEN = 0x8
KNOWS_GROUPS = 0x10

MOST_CLASSES = 8
NO_CLASSES = 0
UNGUARDED = (1 << 64) - 1
SLOTS = 4
MOST_SLOTS_EACH = 65_536
RANGES = 8
PRIVILEGED = 0x1
ENDED = 0x2
ALL_FROM = 0xFFFF_FFFF
"""A range's count that means: all from its first on."""
MOST_GROUPS = 64

LOCKDOWN = 0x1
RECORD_ALLOWED = 0x2

TOKEN = 0x46445354
ASK = 1
LOOK = 3
TAG = 5
UNTAG = 7
DEPTH = 33

Row = tuple[int, int]
"""Two bit vectors: main and unless."""


class Table(enum.IntEnum):
    """The tables of rows."""

    SET = 1
    EFFECT = 2
    ENFORCED = 3
    ANY = 4
    UID = 5
    GID = 6
    USERNS = 7
    CGROUP = 8
    CAPABILITY = 9
    STASHER_USERNS = 10
    OPENER_USERNS = 11
    NO_MORE = 12
    CONNECT = 13
    TERMS = 16
    STASHER_SAME = 17
    OPENER_SAME = 18


class Relation(enum.IntEnum):
    """How one user namespace stands to another."""

    SAME = 0
    BELOW = 1
    ELSEWHERE = 2
    RELATION_UNKNOWN = 3
    RELATION_OPEN = 4


class RoleKind(enum.IntEnum):
    """What a process is to us."""

    SERVER = 1
    KEEPER = 2
    ENFORCER = 3


class Hook(enum.IntEnum):
    """Where something happened."""

    RECEIVE = 1
    OPENED = 2
    CONNECTED = 3
    REACHED_INTO = 4
    BPF_USED = 5
    TAGGED = 6


class Reason(enum.IntEnum):
    """Why it was decided so."""

    BY_RULE = 1
    BY_FORBID = 2
    BY_NO_RULE = 3
    UNCLASSIFIED = 4
    STRANGE_CGROUP = 5
    STALE = 6
    MISSING = 7
    OVERFLOW = 8
    PROTECTED = 9
    OWN_OBJECT = 10
    NO_ROOM = 11


def pack_row(row: Row, words: int) -> bytes:
    """A row of two vectors as `words` words each. OverflowError if a term lies beyond."""
    return b"".join(bits.to_bytes(words * 8, "little") for bits in row)


def unpack_row(data: bytes) -> Row:
    """The two vectors of a row."""
    half = len(data) // 2
    return int.from_bytes(data[:half], "little"), int.from_bytes(data[half:], "little")


@dataclass(frozen=True, slots=True)
class Key(Record):
    """The key of a row; `of` is an instance's number, or a class's."""

    table: int
    of: int
    value: int = 0
    LAYOUT: ClassVar = Layout("fds_key", table=U32, of=U32, value=U64)


@dataclass(frozen=True, slots=True)
class Person(Record):
    """A stasher, an opener; `known` says which fields are."""

    uid: int = 0
    userns: int = 0
    capabilities: int = 0
    known: int = 0
    gid: int = 0
    LAYOUT: ClassVar = Layout("fds_person", uid=U32, userns=U32, capabilities=U64, known=U32, gid=U32)


@dataclass(frozen=True, slots=True)
class Chain(Record):
    """A user namespace's number, then those above it."""

    numbers: tuple[int, ...] = ()
    LAYOUT: ClassVar = Layout("fds_chain", depth=length_of("numbers"), numbers=array(DEPTH, "depth"))

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class ClassRecord(Record):
    """A class: whose name it is, and the people that are compared with the subject."""

    instance: int
    stasher: Person = field(default_factory=Person)
    opener: Person = field(default_factory=Person)
    stasher_chain: Chain = field(default_factory=Chain)
    opener_chain: Chain = field(default_factory=Chain)
    LAYOUT: ClassVar = Layout(
        "fds_class",
        instance=U32,
        pad=PAD,
        stasher=record(Person),
        opener=record(Person),
        stasher_chain=record(Chain),
        opener_chain=record(Chain),
    )


@dataclass(frozen=True, slots=True)
class ClassSet(Record):
    """The classes of an open file in an instance: delivery is allowed if any of them allows."""

    instance: int
    classes: tuple[int, ...]
    LAYOUT: ClassVar = Layout(
        "fds_class_set", instance=U32, count=length_of("classes"), classes=array(MOST_CLASSES, "count")
    )


@dataclass(frozen=True, slots=True)
class Slot(Record):
    """Part of a tag: the class set of one instance."""

    instance: int
    classes: int
    LAYOUT: ClassVar = Layout("fds_slot", classes=U64, instance=U64)


@dataclass(frozen=True, slots=True)
class Tag(Record):
    """What an open file is tagged with: the slots in use."""

    slots: tuple[Slot, ...]
    LAYOUT: ClassVar = Layout("fds_tag", slots=records(Slot, SLOTS, lambda slot: slot.instance != 0))


@dataclass(frozen=True, slots=True)
class Range(Record):
    """Ids from `first` on; `count` of them, or ALL_FROM."""

    first: int
    count: int
    LAYOUT: ClassVar = Layout("fds_range", first=U32, count=U32)


_RANGES = records(Range, RANGES, lambda part: part.count != 0)


@dataclass(frozen=True, slots=True)
class InstanceRecord(Record):
    """What the programs and a new enforcer know of an instance."""

    userns: int
    uid: int
    flags: int
    pid: int
    start: int
    device: int
    lineage: int
    uids: tuple[Range, ...]
    gids: tuple[Range, ...]
    chain: Chain = field(default_factory=Chain)
    owners: tuple[int, ...] = ()
    payer: int = 0
    LAYOUT: ClassVar = Layout(
        "fds_instance",
        userns=U32,
        uid=U32,
        flags=U32,
        pid=U32,
        start=U64,
        device=U64,
        lineage=U64,
        uids=_RANGES,
        gids=_RANGES,
        chain=record(Chain),
        owners=array(DEPTH, "chain"),
        payer=U32,
    )


@dataclass(frozen=True, slots=True)
class EntryKey(Record):
    """An entry's inode on its mount's device, both as the kernel numbers them."""

    device: int
    inode: int
    LAYOUT: ClassVar = Layout("fds_entry_key", device=U64, inode=U64)


@dataclass(frozen=True, slots=True)
class Role(Record):
    """A process's role and instance."""

    kind: int
    instance: int
    LAYOUT: ClassVar = Layout("fds_role", kind=U32, instance=U32)


@dataclass(frozen=True, slots=True)
class Order(Record):
    """What goes with an order, and what comes back of the file: who opened it and what it is."""

    instance: int
    authority: int = 0
    classes: int = NO_CLASSES
    opener: Person = field(default_factory=Person)
    device: int = 0
    inode: int = 0
    magic: int = 0
    mode: int = 0
    owner_userns: int = 0
    chain: Chain = field(default_factory=Chain)
    owners: tuple[int, ...] = ()
    LAYOUT: ClassVar = Layout(
        "fds_order",
        instance=U32,
        authority=U32,
        classes=U64,
        opener=record(Person),
        device=U64,
        inode=U64,
        magic=U64,
        mode=U32,
        owner_userns=U32,
        chain=record(Chain),
        owners=array(DEPTH, "chain"),
        pad=PAD,
    )


@dataclass(frozen=True, slots=True)
class Event(Record):
    """A record of the ring. `terms` is the vector of those that decided, `comm` as the kernel had it."""

    time: int
    lost: int
    hook: int
    reason: int
    allowed: bool
    decided: bool
    generation: int
    instance: int
    classes: int
    class_: int
    tgid: int
    tid: int
    uid: int
    euid: int
    gid: int
    userns: int
    target: int
    capabilities: int
    cgroup: int
    start: int
    opener: Person
    device: int
    inode: int
    mode: int
    open_flags: int
    magic: int
    comm: bytes
    terms: int
    LAYOUT: ClassVar = Layout(
        "fds_event",
        **dict.fromkeys(("time", "lost"), U64),
        **dict.fromkeys(("hook", "reason"), U32),
        **dict.fromkeys(("allowed", "decided"), FLAG),
        **dict.fromkeys(("generation", "instance"), U32),
        classes=U64,
        **dict.fromkeys(("class", "tgid", "tid", "uid", "euid", "gid", "userns", "target"), U32),
        **dict.fromkeys(("capabilities", "cgroup", "start"), U64),
        opener=record(Person),
        **dict.fromkeys(("device", "inode"), U64),
        **dict.fromkeys(("mode", "open_flags"), U32),
        magic=U64,
        comm=text(16),
        terms=vector(MOST_WORDS),
    )


@dataclass(frozen=True, slots=True)
class Request(Record):
    """What a verdict is about: the packet of the test program."""

    instance: int
    uid: int
    known: int
    capabilities: int
    cgroup: int
    userns: int
    opener_userns: int
    stasher_userns: tuple[int, ...]
    gids: tuple[int, ...]
    LAYOUT: ClassVar = Layout(
        "fds_request",
        instance=U32,
        uid=U32,
        known=U32,
        groups=length_of("gids"),
        capabilities=U64,
        cgroup=U64,
        userns=U32,
        opener_userns=U32,
        stasher_userns=array(MOST_CLASSES),
        gids=array(MOST_GROUPS, "groups"),
    )


TWINS: tuple[type[Record], ...] = (
    Key,
    Person,
    Chain,
    ClassRecord,
    ClassSet,
    Slot,
    Tag,
    Range,
    InstanceRecord,
    EntryKey,
    Role,
    Order,
    Event,
    Request,
)
"""Every struct of abi.h but the row, whose length the number of terms decides."""
