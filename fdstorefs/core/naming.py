"""Names: taking them away, boxes, and further names."""

from collections.abc import Sequence

from fdstorefs.core.access import Action, Coming, Target
from fdstorefs.core.changing import PERMISSIONS, SET_GROUP_ID, Changing, as_coming, check_names
from fdstorefs.core.event import Change
from fdstorefs.core.guard import Named, names_of
from fdstorefs.core.node import Box, Entry, Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Busy, IsABox, NotABox, NotEmpty, NotPermitted


class Naming(Changing):
    """The part of a store that names come and go by."""

    def discard(self, subject: Subject, target: Target) -> None:
        """Take the name away; the last one closes the open file. Errors: NoSuchEntry, IsABox, Denied, Busy."""
        self._check_discard(subject, target)
        self._discard(subject, [target])

    def discard_many(self, subject: Subject, paths: Sequence[str]) -> None:
        """Discard all `paths`, or none."""
        self.discard_all(subject, self.locate_distinct(subject, paths, Action.DISCARD))

    def discard_all(self, subject: Subject, targets: Sequence[Target]) -> None:
        """Discard all that was located, or none."""
        for target in targets:
            self._check_discard(subject, target)
        self._discard(subject, targets)

    def _discard(self, subject: Subject, targets: Sequence[Target]) -> None:
        if targets:
            self._prepare(
                subject, Action.DISCARD, targets[0], *(self._existing(target) for target in targets)
            )
            self.let_go(self._remove_all(targets))

    def _check_discard(self, subject: Subject, target: Target) -> None:
        if isinstance(self._existing(target), Box):
            raise IsABox(f"`{target.path}` is a box", name=target.path)
        self._require(subject, Action.DISCARD, target)

    def make_box(
        self, subject: Subject, box: Box, name: str, mode: int = 0o700, stasher: Stasher | None = None
    ) -> Box:
        """A new box; errors: EntryExists, Denied, QuotaExceeded, Busy (in a sealed box)."""
        target = self._free(subject, box, name, Coming(is_box=True))
        self._prepare(subject, Action.STASH, target, stasher=stasher)
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
        self.journal.record([made])
        self._tell(Change.CREATED, box, name, made)
        return made

    def remove_box(self, subject: Subject, target: Target) -> None:
        """Remove an empty box; errors: NotABox, NotEmpty, NoSuchEntry, Denied, Busy.

        NotEmpty also for a box in which there is nothing that the subject may list. It can't be kept from
        learning that much: whatever is in there has to stay.
        """
        node = self._existing(target)
        if not isinstance(node, Box):
            raise NotABox(f"`{target.path}` is an entry", name=target.path)
        if node is self.root:
            raise Busy("the root box stays while the instance serves", name="/")
        self._authority.require_mode(subject, Action.DISCARD, target)
        self._require_unsealed(subject, Action.DISCARD, target, node)
        self._authority.require_policy(subject, Action.DISCARD, target)
        if node.children:
            raise NotEmpty(f"`{target.path}` is not empty", name=target.path)
        self._prepare(subject, Action.DISCARD, target, node)
        self._remove_all([target])

    def link(self, subject: Subject, source: Target, box: Box, name: str) -> Entry:
        """A second name for an entry; errors: NotPermitted (a box), EntryExists, Denied, Busy, TooManyNames."""
        entry = self._existing(source)
        if isinstance(entry, Box):
            raise NotPermitted(f"`{source.path}` is a box: boxes have one name", name=source.path)
        goal = self.target(box, name)
        self._require_unsealed(subject, Action.STASH, goal, box)
        self._require(subject, Action.LINK, source)
        check_names((entry.file.names if entry.file is not None else entry.links) + 1, goal)
        goal = self._free(subject, box, name, as_coming(entry), more=0)
        self._prepare(subject, Action.LINK, goal, entry)
        if self.guard is not None and entry.file is not None:
            new = Named(goal.path, entry.ino, entry.label, entry.stasher)
            self._require_guard(subject, Action.LINK, goal, {entry.file: [*names_of(entry.file), new]})
        self.tree.attach(goal.box, goal.name, entry)
        entry.changed = self._clock()
        self.journal.record([entry])
        self._tell(Change.LINKED, box, name, entry)
        return entry
