"""The store: every operation on entries and boxes, checked, limited and announced. Pure: no I/O.

Each operation either happens whole or raises a `StoreError` and changes nothing. Every one asks the
`Authority` first; nothing else in the project decides who may do what.
"""

from collections.abc import Callable, Sequence

from fdstorefs.core.access import MODE_BITS, Action, Authority, Coming, Target, check_chown
from fdstorefs.core.event import Change, Event, Events
from fdstorefs.core.finder import Finder
from fdstorefs.core.limits import Limits, Usage
from fdstorefs.core.name import RESERVED, check_label
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import ROOT_INO, Tree
from fdstorefs.errors import (
    Busy,
    Denied,
    EmptyEntry,
    EntryExists,
    InvalidArgument,
    IsABox,
    NoSuchEntry,
    NotABox,
    NotEmpty,
    NotPermitted,
    StoreError,
)

ENTRY_MODE = 0o600
SET_GROUP_ID = 0o2000
PERMISSIONS = 0o7777
REPLACE_HINT = "ask to replace it, or discard it first"


class Store(Finder):
    """One instance's entries. `clock` gives the time in ns since the epoch."""

    def __init__(
        self,
        *,
        uid: int,
        gid: int,
        clock: Callable[[], int],
        mode: int = 0o1777,
        limits: Limits | None = None,
        authority: Authority = MODE_BITS,
    ) -> None:
        now = clock()
        root = Box(ino=ROOT_INO, uid=uid, gid=gid, mode=mode, created=now, changed=now)
        super().__init__(Tree(root), authority)
        self.events = Events()
        self.usage = Usage(limits or Limits())
        self._clock = clock

    # Stashing

    def create(
        self, subject: Subject, box: Box, name: str, mode: int = ENTRY_MODE, stasher: Stasher | None = None
    ) -> Entry:
        """An empty entry; errors: EntryExists, Denied, QuotaExceeded, Busy (sealed box)."""
        target = self._free(subject, box, name, Coming())
        self.usage.check(subject.uid)
        entry = self._new_entry(subject, box, mode)
        entry.stasher = stasher
        self._attach(target, entry)
        self._tell(Change.CREATED, box, name, entry)
        return entry

    def fill(self, subject: Subject, entry: Entry, file: OpenFile, stasher: Stasher) -> None:
        """Put `file` into `entry`, which may hold one already: then it is replaced, atomically."""
        target = self.target_of(subject, entry)
        self.check_put(subject, target, file, entry.label)
        change = Change.REPLACED if entry.file is not None else Change.STASHED
        self._swap(entry, file, stasher)
        self._tell(change, target.box, target.name, entry)

    def check_stash(self, subject: Subject, path: str, *, replace: bool = False) -> Target:
        """Raise whatever `stash` would raise before a descriptor is even looked at."""
        target = self.locate_goal(subject, path)
        if isinstance(target.node, Box):
            raise self._in_the_way(subject, target, IsABox(f"`{path}` is a box", name=path))
        if target.node is None:
            self._require_place(target)
            self._authority.require_mode(subject, Action.STASH, target)
            self._unsealed(target.box)
            self.usage.check(subject.uid)
            return target
        if target.node.file is not None and not replace:
            raise self._in_the_way(subject, target, _exists(target, REPLACE_HINT))
        self._authority.require_mode(subject, Action.STASH, target)
        self._unsealed(target.box)
        return target

    def check_put(self, subject: Subject, target: Target, file: OpenFile, label: str | None) -> None:
        """Raise Denied if this open file may not be stashed there; `check_stash` said all that it could.

        What is replaced is discarded by it. An empty entry is filled for whoever made it.
        """
        there = target.node if isinstance(target.node, Entry) else None
        maker = there.stasher if there is not None and there.file is None else None
        coming = Coming(file, label, maker)
        self._authority.require(subject, Action.STASH, target._replace(coming=coming))
        if there is not None and there.file is not None:
            self._authority.require_policy(subject, Action.DISCARD, target)
        self._unsealed(target.box)

    def stash(
        self,
        subject: Subject,
        path: str,
        file: OpenFile,
        stasher: Stasher,
        *,
        replace: bool = False,
        mode: int = ENTRY_MODE,
        label: str | None = None,
    ) -> tuple[Entry, bool]:
        """Put `file` under `path`. Returns the entry and whether it replaced another open file.

        An empty entry is filled; a full one is replaced only if asked for. Errors: EntryExists, IsABox,
        Denied, Busy, QuotaExceeded and those of `locate`.
        """
        target = self.check_stash(subject, path, replace=replace)
        self.check_put(subject, target, file, label)
        return self.put(subject, target, file, stasher, mode=mode, label=label)

    def put(
        self,
        subject: Subject,
        target: Target,
        file: OpenFile,
        stasher: Stasher,
        *,
        mode: int = ENTRY_MODE,
        label: str | None = None,
    ) -> tuple[Entry, bool]:
        """The last part of `stash`: do what has just been allowed. Cannot fail."""
        entry = target.node
        if not isinstance(entry, Entry):
            entry = self._new_entry(subject, target.box, mode)
            self._attach(target, entry)
        replaced = entry.file is not None
        self._swap(entry, file, stasher)
        entry.label = label if label is not None else entry.label
        self._tell(Change.REPLACED if replaced else Change.STASHED, target.box, target.name, entry)
        return entry, replaced

    # Retrieving

    def retrieve(self, subject: Subject, target: Target) -> OpenFile:
        """The open file of an entry, not yet held. Errors: NoSuchEntry, IsABox, EmptyEntry, Busy, Denied."""
        return self._ready(subject, Action.RETRIEVE, target)

    def retrieve_many(self, subject: Subject, paths: Sequence[str]) -> list[OpenFile]:
        """The open files of all `paths`, or the error of the first that cannot be had."""
        return [self.retrieve(subject, self.locate(subject, path, Action.RETRIEVE)) for path in paths]

    def take_many(self, subject: Subject, paths: Sequence[str]) -> list[OpenFile]:
        """Retrieve and discard all `paths`, or none. Each file comes held once: drop it after delivery."""
        taken = self.check_take(subject, paths)
        files = [file.hold() for _, file in taken]
        self.remove_taken([target for target, _ in taken])
        return files

    def check_take(self, subject: Subject, paths: Sequence[str]) -> list[tuple[Target, OpenFile]]:
        """What `take_many` would take, or its error; nothing is taken yet."""
        targets = self._distinct(subject, paths, Action.TAKE)
        return [(target, self._ready(subject, Action.TAKE, target)) for target in targets]

    def remove_taken(self, targets: Sequence[Target]) -> None:
        """Take the names away that `check_take` allowed a moment ago, as far as they still stand for the same."""
        for target in targets:
            if target.box.children.get(target.name) is target.node:
                self._remove(target)

    def _ready(self, subject: Subject, action: Action, target: Target) -> OpenFile:
        entry = self._existing(target)
        if isinstance(entry, Box):
            raise IsABox(f"`{target.path}` is a box", name=target.path)
        self._authority.require(subject, action, target)
        self._unsealed(target.box)
        if entry.file is None:
            raise EmptyEntry(f"`{target.path}` holds nothing yet", name=target.path)
        return entry.file

    # Names

    def discard(self, subject: Subject, target: Target) -> None:
        """Take the name away; the last one closes the open file. Errors: NoSuchEntry, IsABox, Denied, Busy."""
        self._check_discard(subject, target)
        self._remove(target)

    def discard_many(self, subject: Subject, paths: Sequence[str]) -> None:
        """Discard all `paths`, or none."""
        targets = self._distinct(subject, paths, Action.DISCARD)
        for target in targets:
            self._check_discard(subject, target)
        for target in targets:
            self._remove(target)

    def _check_discard(self, subject: Subject, target: Target) -> None:
        if isinstance(self._existing(target), Box):
            raise IsABox(f"`{target.path}` is a box", name=target.path)
        self._authority.require(subject, Action.DISCARD, target)
        self._unsealed(target.box)

    def make_box(
        self, subject: Subject, box: Box, name: str, mode: int = 0o700, stasher: Stasher | None = None
    ) -> Box:
        """A new box; errors as for `create`."""
        target = self._free(subject, box, name, Coming(is_box=True))
        self.usage.check(subject.uid)
        now, inherited = self._clock(), box.mode & SET_GROUP_ID
        made = Box(
            ino=self.tree.next_ino(),
            uid=subject.uid,
            gid=box.gid if inherited else subject.gid,
            mode=mode & PERMISSIONS | inherited,
            created=now,
            changed=now,
            stasher=stasher,
        )
        self._attach(target, made)
        self._tell(Change.CREATED, box, name, made)
        return made

    def remove_box(self, subject: Subject, target: Target) -> None:
        """Remove an empty box; errors: NotABox, NotEmpty, NoSuchEntry, Denied, Busy."""
        node = self._existing(target)
        if not isinstance(node, Box):
            raise NotABox(f"`{target.path}` is an entry", name=target.path)
        if node is self.root:
            raise Busy("the root box stays while the instance serves", name="/")
        self._authority.require(subject, Action.DISCARD, target)
        self._unsealed(node)
        if node.children:
            raise NotEmpty(f"`{target.path}` holds {len(node.children)} entries", name=target.path)
        self._remove(target)

    def rename(self, subject: Subject, source: Target, goal: Target, *, replace: bool = True) -> None:
        """Give what `source` names the name of `goal`; what is there goes, if `replace`, as by rename(2)."""
        moved = self._existing(source)
        if goal.node is moved:
            return
        self._require_rename(subject, source, goal, moved)
        self._unsealed(source.box)
        self._unsealed(goal.box)
        self._require_not_reserved(goal)
        try:
            self._fits(moved, goal, replace)
        except StoreError as error:
            raise self._in_the_way(subject, goal, error) from None
        if goal.node is not None:
            self._remove(goal)
        self.tree.move(source.box, source.name, goal.box, goal.name)
        moved.changed = self._clock()
        self.events.publish(Event(Change.RENAMED, goal.box, goal.name, moved, former=source.path))

    def _require_rename(self, subject: Subject, source: Target, goal: Target, moved: Entry | Box) -> None:
        """To rename is to take one name away and to stash under another, for a box and all that is in it."""
        require = self._authority.require
        require(subject, Action.RENAME, source)
        goal = goal._replace(coming=_as_coming(moved))
        if goal.node is not None:
            self._authority.require_mode(subject, Action.RENAME, goal)
            self._authority.require_policy(subject, Action.DISCARD, goal)
            self._authority.require_policy(subject, Action.STASH, goal)
        else:
            require(subject, Action.STASH, goal)
        if isinstance(moved, Box):
            self._require_contents(subject, moved, goal)

    def _require_contents(self, subject: Subject, moved: Box, goal: Target) -> None:
        # Who may rename a box must not by that bring what others keep in it under other rules.
        for path, box, name, node in self.tree.walk(moved):
            target = Target(box, name, node)
            self._authority.require_policy(subject, Action.RENAME, target)
            coming = _as_coming(node)
            self._authority.require_policy(
                subject, Action.STASH, Target(goal.box, f"{goal.name}/{path}", None, coming)
            )

    def _fits(self, moved: Entry | Box, goal: Target, replace: bool) -> None:
        there = goal.node
        if isinstance(moved, Box):
            if goal.box.is_inside(moved):
                raise InvalidArgument(f"`{goal.path}` is inside the box that is to be moved", name=goal.path)
            self._unsealed(moved)
        if there is None:
            return
        if not replace:
            raise EntryExists(f"`{goal.path}` exists", name=goal.path)
        if isinstance(moved, Box) and not isinstance(there, Box):
            raise NotABox(f"`{goal.path}` is an entry", name=goal.path)
        if isinstance(there, Box) and not isinstance(moved, Box):
            raise IsABox(f"`{goal.path}` is a box", name=goal.path)
        if isinstance(there, Box):
            self._unsealed(there)
            if there.children:
                raise NotEmpty(f"`{goal.path}` holds {len(there.children)} entries", name=goal.path)

    def link(self, subject: Subject, source: Target, box: Box, name: str) -> Entry:
        """A second name for an entry; errors: NotPermitted (a box), EntryExists, Denied, Busy."""
        entry = self._existing(source)
        if isinstance(entry, Box):
            raise NotPermitted(f"`{source.path}` is a box: boxes have one name", name=source.path)
        self._authority.require(subject, Action.LINK, source)
        self._unsealed(source.box)
        goal = self._free(subject, box, name, _as_coming(entry))
        self.tree.attach(goal.box, goal.name, entry)
        entry.changed = self._clock()
        self._tell(Change.LINKED, box, name, entry)
        return entry

    # Attributes

    def seal(self, subject: Subject, box: Box, *, sealed: bool = True) -> None:
        """Seal or unseal a box; errors: NotPermitted."""
        self._authority.require(subject, Action.SEAL, self._self(box))
        if box.sealed != sealed:
            box.sealed, box.changed = sealed, self._clock()
            self._tell(Change.SEALED if sealed else Change.UNSEALED, box.parent or box, box.name, box)

    def set_mode(self, subject: Subject, node: Entry | Box, mode: int) -> None:
        """Change permission bits; errors: NotPermitted, Busy."""
        target = self.target_of(subject, node)
        self._authority.require(subject, Action.CHANGE, target)
        self._unsealed(target.box)
        node.mode, node.changed = mode & PERMISSIONS, self._clock()
        self._tell(Change.CHANGED, target.box, target.name, node)

    def set_owner(self, subject: Subject, node: Entry | Box, uid: int | None, gid: int | None) -> None:
        """Change owner or group as chown(2); None leaves one. Errors: NotPermitted, QuotaExceeded, Busy."""
        target = self.target_of(subject, node)
        self._unsealed(target.box)
        check_chown(subject, target, node, uid, gid)
        self._authority.require_policy(subject, Action.CHANGE, target)
        if uid is not None and uid != node.uid:
            self._count_for(node, uid)
            node.uid = uid
        node.gid = gid if gid is not None else node.gid
        node.changed = self._clock()
        self._tell(Change.CHANGED, target.box, target.name, node)

    def set_label(self, subject: Subject, entry: Entry, label: str | None) -> None:
        """Change an entry's label; errors: NotPermitted, Busy."""
        target = self.target_of(subject, entry)
        self._authority.require(subject, Action.CHANGE, target)
        relabelled = Coming(entry.file, label, entry.stasher)
        self._authority.require_policy(subject, Action.STASH, target._replace(coming=relabelled))
        self._unsealed(target.box)
        entry.label, entry.judged = check_label(label) if label is not None else None, None
        entry.changed = self._clock()
        self._tell(Change.CHANGED, target.box, target.name, entry)

    # Inside

    def _distinct(self, subject: Subject, paths: Sequence[str], intent: Action) -> list[Target]:
        targets = [self.locate(subject, path, intent) for path in paths]
        if len({(target.box.ino, target.name) for target in targets}) != len(targets):
            raise InvalidArgument("the same name is given twice")
        return targets

    def _existing(self, target: Target) -> Entry | Box:
        if target.node is None:
            raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
        return target.node

    def _free(self, subject: Subject, box: Box, name: str, coming: Coming) -> Target:
        target = self.target(box, name)._replace(coming=coming)
        if target.node is not None:
            raise self._in_the_way(subject, target, _exists(target))
        self._require_place(target)
        self._authority.require(subject, Action.STASH, target)
        self._unsealed(box)
        return target

    def _require_place(self, target: Target) -> None:
        self._require_not_reserved(target)
        if not target.box.is_attached:
            raise NoSuchEntry("the box is gone: it was removed")

    def _in_the_way(self, subject: Subject, target: Target, error: StoreError) -> StoreError:
        """What to say when something is in the way: the error, if the subject may know of what is there."""
        if target.node is None or self._authority.exists(subject, target, Action.STASH):
            return error
        return Denied(f"uid {subject.uid} may not stash `{target.path}`", name=target.path)

    def _require_not_reserved(self, target: Target) -> None:
        if target.box is self.root and target.name in RESERVED:
            raise EntryExists(f"`{target.name}` is the store's own", name=target.name)

    @staticmethod
    def _unsealed(box: Box) -> None:
        above: Box | None = box
        while above is not None:
            if above.sealed:
                raise Busy(
                    f"the box `{above.path or '/'}` is sealed", name=above.path, hint="unseal it first"
                )
            above = above.parent

    def _new_entry(self, subject: Subject, box: Box, mode: int) -> Entry:
        now = self._clock()
        return Entry(
            ino=self.tree.next_ino(),
            uid=subject.uid,
            gid=box.gid if box.mode & SET_GROUP_ID else subject.gid,
            mode=mode & PERMISSIONS,
            created=now,
            changed=now,
        )

    def _attach(self, target: Target, node: Entry | Box) -> None:
        self.tree.attach(target.box, target.name, node)
        self.usage.add(node.uid)

    def _remove(self, target: Target) -> None:
        node = self.tree.detach(target.box, target.name)
        if isinstance(node, Box) or not node.is_named:
            self.usage.remove(node.uid)
        self._tell(Change.DISCARDED, target.box, target.name, node)
        if isinstance(node, Entry) and not node.is_named and node.file is not None:
            former, node.file = node.file, None
            former.leave(node)
            former.drop()

    def _count_for(self, node: Entry | Box, uid: int) -> None:
        if node is not self.root:
            self.usage.check_uid(uid)
            self.usage.move(node.uid, uid)

    def _swap(self, entry: Entry, file: OpenFile, stasher: Stasher) -> None:
        former, entry.file = entry.file, file.hold()
        file.enter(entry)
        entry.stasher, entry.changed, entry.judged = stasher, self._clock(), None
        if former is not None:
            former.leave(entry)
            former.drop()

    def _tell(self, change: Change, box: Box, name: str, node: Entry | Box) -> None:
        if self.events.wanted:
            self.events.publish(Event(change, box, name, node))


def _exists(target: Target, hint: str | None = None) -> EntryExists:
    return EntryExists(f"`{target.path}` exists", name=target.path, hint=hint)


def _as_coming(node: Entry | Box) -> Coming:
    if isinstance(node, Box):
        return Coming(stasher=node.stasher, is_box=True)
    return Coming(node.file, node.label, node.stasher)
