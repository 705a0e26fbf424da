"""What the store is made of: open files, the entries that hold them, and the boxes that hold entries.

Invariants, kept by `store.Store`:
- A node is in the inode table while it has a name or a kernel reference.
- An open file is held once by each entry that it is in and once by each handle or reply under way; when the
  last hold goes it is released, once, to whoever owns the descriptors.
- The same open file description is never two `OpenFile` objects of one store.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(slots=True, frozen=True)
class Opener:
    """Who opened a file, as the kernel has it: ids of the instance's user namespace, None where he has none there.

    `userns` is the number of his own namespace, then those of the ones above it as far as the instance can see, and
    `capabilities` are the effective ones over the instance's.
    """

    uid: int | None
    gid: int | None
    capabilities: int
    userns: tuple[int, ...]


@dataclass(slots=True, eq=False)
class OpenFile:
    """One open file description in the store's keeping.

    `descriptor` is an opaque number to the core. `access` is `r`, `w`, `rw` or `path`. `filesystem` is None
    where telling it would have meant asking somebody else's file server. `guarded`: the kernel enforces the policy
    on it wherever it goes; to be settled before anybody is asked about the file, as verdicts are remembered.
    `unguarded` is why it doesn't where it could. `opener` None: not known, as only the kernel can tell.
    `kept`: the store's journal keeps it. `sender` is the uid of who brought it first; None: nobody that is known.
    """

    descriptor: int
    kind: str
    device: int = 0
    inode: int = 0
    access: str = "rw"
    filesystem: str | None = None
    guarded: bool = False
    unguarded: str | None = None
    opener: Opener | None = None
    may_block_on_close: bool = False
    pollable: bool = True
    kept: bool = False
    number: int = 0
    sender: int | None = None
    holds: int = 0
    release: Callable[["OpenFile"], None] | None = field(default=None, repr=False)
    _within: "Entry | list[Entry] | None" = field(default=None, repr=False)

    @property
    def entries(self) -> "tuple[Entry, ...]":
        """The entries that hold it."""
        within = self._within
        if within is None:
            return ()
        return tuple(within) if isinstance(within, list) else (within,)

    @property
    def is_shared(self) -> bool:
        """Whether more than one entry holds it."""
        return isinstance(self._within, list)

    @property
    def names(self) -> int:
        """How many names it has in all."""
        return sum(entry.links for entry in self.entries)

    def enter(self, entry: "Entry") -> None:
        """Note that an entry holds it. Most files are in one only, so there is seldom a list."""
        self._within = [*self.entries, entry] if self._within is not None else entry

    def leave(self, entry: "Entry") -> None:
        """Note that an entry holds it no longer."""
        left = [other for other in self.entries if other is not entry]
        self._within = left[0] if len(left) == 1 else left or None

    def hold(self) -> "OpenFile":
        """Keep it open for one more user."""
        self.holds += 1
        return self

    def drop(self) -> None:
        """Give one hold back; the last one releases the descriptor."""
        if self.holds <= 0:
            raise AssertionError(f"open file {self.number} dropped more often than held")
        self.holds -= 1
        if self.holds == 0 and self.release is not None:
            self.release(self)


@dataclass(slots=True, frozen=True)
class Stasher:
    """Who stashed: as the kernel told it at that moment. One object serves all that a process stashes.

    `known` is False for whoever has no uid in the instance's user namespace. `userns` is the number of his own
    one, then those of the ones above it, and `capabilities` are the effective ones over the instance's. None:
    not told, or, for capabilities, not asked for.
    """

    pid: int
    uid: int
    gid: int
    command: str | None = None
    userns: tuple[int, ...] | None = None
    capabilities: int | None = None
    known: bool = True


@dataclass(slots=True, eq=False)
class Node:
    """What entries and boxes share: number, owner, mode (permission bits), times in ns since the epoch.

    `lookups` counts the references that the kernel holds through the mount. `stasher` is who stashed what is in
    an entry, or who made an empty one or a box. `judged` is for the authority to remember by.
    """

    is_box: ClassVar[bool] = False
    ino: int
    uid: int
    gid: int
    mode: int
    created: int
    changed: int
    lookups: int = 0
    stasher: Stasher | None = None
    judged: object = None


@dataclass(slots=True, eq=False)
class Entry(Node):
    """What a name stands for: one open file, or nothing yet.

    `expires` is when it goes, in ns of a clock that is never set (CLOCK_BOOTTIME). `polled`: it goes, too, when the
    other side of the open file hangs up.

    `places` are its names: each a box and a name in it, in turn, so that an entry with one name is small.
    """

    file: OpenFile | None = None
    label: str | None = None
    expires: int | None = None
    polled: bool = True
    _places: tuple[Any, ...] = ()

    @property
    def places(self) -> "list[tuple[Box, str]]":
        """Its names, oldest first: each a box and the name in it."""
        flat = self._places
        return list(zip(flat[::2], flat[1::2], strict=True))

    @property
    def is_named(self) -> bool:
        """True while it has a name."""
        return bool(self._places)

    @property
    def links(self) -> int:
        """How many names it has."""
        return len(self._places) // 2

    @property
    def has_more_names(self) -> bool:
        """Whether it, or another entry with the same open file, has another name."""
        return len(self._places) > 2 or (self.file is not None and self.file.is_shared)

    def is_only(self, box: "Box", name: str) -> bool:
        """True if this is its name and it has no other."""
        places = self._places
        return len(places) == 2 and places[0] is box and places[1] == name

    def add_place(self, box: "Box", name: str) -> None:
        """It has one more name."""
        self._places = (*self._places, box, name)

    def remove_place(self, box: "Box", name: str) -> None:
        """It has one name less."""
        places = self.places
        places.remove((box, name))
        self._places = tuple(part for place in places for part in place)
        # It was judged under the one name it had.
        self.judged = None

    @property
    def kind(self) -> str:
        """What is inside: the open file's kind, or `empty`."""
        return self.file.kind if self.file is not None else "empty"


@dataclass(slots=True, eq=False)
class Box(Node):
    """A directory of entries and boxes; while sealed nothing in it changes or leaves."""

    is_box: ClassVar[bool] = True
    parent: "Box | None" = None
    name: str = ""
    sealed: bool = False
    children: dict[str, "Entry | Box"] = field(default_factory=dict)

    kind: ClassVar[str] = "box"

    @property
    def links(self) -> int:
        """One while it can be reached, whatever is in it: a count of boxes would count hidden ones too.

        Programs take a directory with one link for one whose boxes nobody counted.
        """
        return 1 if self.is_attached else 0

    @property
    def sealed_by(self) -> "Box | None":
        """The box that is sealed, this one or one above it."""
        box: Box | None = self
        while box is not None and not box.sealed:
            box = box.parent
        return box

    @property
    def is_sealed(self) -> bool:
        """Whether what is in it can neither change nor leave."""
        return self.sealed_by is not None

    def is_only(self, box: "Box", name: str) -> bool:
        """True if this is its name, or was when it was removed: it never has another."""
        return self.parent is box and self.name == name

    @property
    def is_attached(self) -> bool:
        """True while the box can be reached from the root."""
        return self.parent is None or self.parent.children.get(self.name) is self

    @property
    def path(self) -> str:
        """The path from the root box, empty for the root."""
        if self.parent is None:
            return ""
        parts: list[str] = []
        box: Box | None = self
        while box is not None and box.parent is not None:
            parts.append(box.name)
            box = box.parent
        return "/".join(reversed(parts))

    def is_inside(self, other: "Box") -> bool:
        """True if this box is `other` or lies below it."""
        box: Box | None = self
        while box is not None:
            if box is other:
                return True
            box = box.parent
        return False
