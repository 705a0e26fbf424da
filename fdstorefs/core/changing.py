"""What all changes of a store have in common: what they need, and the few steps that they are made of."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from fdstorefs.core.access import Action, Authority, Coming, Target, is_owner
from fdstorefs.core.event import Change, Event, Events
from fdstorefs.core.finder import Finder
from fdstorefs.core.guard import Guard, Names
from fdstorefs.core.journal import Journal, NoJournal
from fdstorefs.core.limits import MOST_NAMES, Limits, Usage
from fdstorefs.core.name import RESERVED
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.schedule import Schedule
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import Tree
from fdstorefs.errors import Busy, Denied, EntryExists, NoSuchEntry, QuotaExceeded, StoreError, TooManyNames

ENTRY_MODE = 0o600
SET_GROUP_ID = 0o2000
PERMISSIONS = 0o7777


class Changing(Finder):
    """The part of a store that each change builds on. `clock` gives the time in ns since the epoch."""

    def __init__(self, tree: Tree, authority: Authority, limits: Limits, clock: Callable[[], int]) -> None:
        super().__init__(tree, authority)
        self.events = Events()
        self.usage = Usage(limits)
        self.guard: Guard | None = None
        """Whoever enforces the policy on the open files wherever they go; set before there are any."""
        self.journal: Journal = NoJournal()
        """Whoever keeps what must not end with this process."""
        self.schedule: Schedule[Entry] = Schedule()
        """When entries expire."""
        self.attend: Callable[[OpenFile], None] | None = None
        """Told of each open file that has come into an entry, or that is in one that is polled now, or no more."""
        self.unsealed: Callable[[], None] | None = None
        """Told when a box was unsealed: what had to stay in it may go."""
        self._clock = clock

    def counted(self, subject: Subject) -> int:
        """How many nodes there are for the subject to count: all for the store's owner, else only its own."""
        if is_owner(subject, self.root):
            return self.usage.total
        return self.usage.of(subject.uid) if subject.known else 0

    # What has to hold

    def _require(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise what mode bits, a seal or the policy refuse.

        The policy comes last: what it allows goes on record, and then nothing else may refuse it.
        """
        self._authority.require_mode(subject, action, target)
        self._require_unsealed(subject, action, target, target.box)
        self._authority.require_policy(subject, action, target)

    def _require_unsealed(self, subject: Subject, action: Action, target: Target, box: Box) -> None:
        """Raise Busy, and have it on record as a denial of the action, if a box or one above it is sealed."""
        try:
            self._unsealed(box)
        except Busy as error:
            self._authority.refused(subject, action, target, error)
            raise

    def _existing(self, target: Target) -> Entry | Box:
        if target.node is None:
            raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
        return target.node

    def _free(self, subject: Subject, box: Box, name: str, coming: Coming, more: int = 1) -> Target:
        """A name for what is `coming`, of which `more` nodes are new."""
        target = self.target(box, name)._replace(coming=coming)
        seen = self._as_seen(subject, target)
        if seen.node is None:
            self._require_vacancy(subject, seen, more)
        if target.node is not None:
            self._authority.require_unoccupied(subject, target)
            raise exists(target)
        self._authority.require_policy(subject, Action.STASH, target)
        return target

    def _as_seen(self, subject: Subject, target: Target) -> Target:
        """The name as it looks to the subject: free, where something stands that it may not know of."""
        if target.node is None or self._authority.policy_allows(
            subject, Action.LIST, target._replace(coming=None)
        ):
            return target
        return target._replace(node=None)

    def _require_vacancy(self, subject: Subject, target: Target, more: int) -> None:
        """Raise what keeps a name from being given to anything, whatever it is."""
        self._require_place(target)
        self._authority.require_mode(subject, Action.STASH, target)
        self._require_unsealed(subject, Action.STASH, target, target.box)
        self._require_room(subject, target, more)

    def _require_place(self, target: Target) -> None:
        self._require_not_reserved(target)
        if not target.box.is_attached:
            raise NoSuchEntry("the box is gone: it was removed")

    def _require_not_reserved(self, target: Target) -> None:
        if target.box is self.root and target.name in RESERVED:
            raise EntryExists(f"`{target.name}` is the store's own", name=target.name)

    def _require_room(self, subject: Subject, target: Target, more: int, names: int = 1) -> None:
        """Raise QuotaExceeded for so many more nodes, and names in the box, if the subject may make them."""
        try:
            if more:
                self.usage.check(subject.uid, more)
            self.usage.check_box(target.box, names)
        except QuotaExceeded as error:
            if target.coming is not None and not self._authority.policy_allows(subject, Action.STASH, target):
                self._authority.require_policy(subject, Action.STASH, target)
            self._authority.refused(subject, Action.STASH, target, error)
            raise

    def _require_other_names(self, subject: Subject, target: Target, comings: Iterable[Coming]) -> None:
        """What comes under one name of an entry comes under all of them, also those that the subject can't see."""
        for other in self._other_names(target):
            for coming in comings:
                self._require_implied(subject, Action.STASH, other._replace(coming=coming), target)

    def _other_names(self, target: Target) -> Iterator[Target]:
        """The other names of the entry."""
        entry = target.node
        if isinstance(entry, Entry) and entry.links > 1:
            for box, name in entry.places:
                if box is not target.box or name != target.name:
                    yield Target(box, name, entry)

    def _require_discards(self, subject: Subject, target: Target) -> None:
        """What is replaced, or made to go, is discarded, under all its names."""
        self._authority.require_policy(subject, Action.DISCARD, target)
        for other in self._other_names(target):
            self._require_implied(subject, Action.DISCARD, other, target)

    def _require_implied(self, subject: Subject, action: Action, target: Target, told: Target) -> None:
        """Raise Denied, in words about `told`, if the policy refuses something that the subject need not know of."""
        try:
            self._authority.require_implied(subject, action, target)
        except Denied:
            raise Denied(
                f"policy: uid {subject.uid} may not do this with `{told.path}` for what else it concerns",
                name=told.path,
                hint="the instance's audit log says what that is",
            ) from None

    def _require_guard(self, subject: Subject, action: Action, target: Target, coming: Names) -> None:
        """Raise, and have it on record as a denial, if the guard does not consent to names of stored files."""
        if self.guard is None or not coming:
            return
        try:
            self.guard.require(coming)
        except StoreError as error:
            self._authority.refused(subject, action, target, error)
            raise

    def _prepare(
        self,
        subject: Subject,
        action: Action,
        target: Target,
        *nodes: Entry | Box,
        stasher: Stasher | None = None,
    ) -> None:
        """Raise, and have it on record as a denial, if the journal can't take a change of these nodes, or of a new one.

        To be called when nothing but the guard can refuse it any more, and before anything changes.
        """
        try:
            self.journal.prepare(sum(node.links for node in nodes) + 1, (), stasher)
        except StoreError as error:
            error.name = target.path
            self._authority.refused(subject, action, target, error)
            raise

    @staticmethod
    def _unsealed(box: Box) -> None:
        above = box.sealed_by
        if above is not None:
            raise Busy(f"the box `{above.path or '/'}` is sealed", name=above.path, hint="unseal it first")

    # Steps

    def _new_entry(self, subject: Subject, box: Box, mode: int, number: int | None = None) -> Entry:
        now = self._clock()
        return Entry(
            ino=self.tree.next_ino() if number is None else number,
            uid=subject.uid,
            gid=box.gid if box.mode & SET_GROUP_ID else subject.gid,
            mode=mode & PERMISSIONS,
            created=now,
            changed=now,
        )

    def _attach(self, target: Target, node: Entry | Box) -> None:
        self.tree.attach(target.box, target.name, node)
        self.usage.add(node.uid)

    def _remove_all(
        self, targets: Sequence[Target], change: Change = Change.DISCARDED
    ) -> list[OpenFile | None]:
        """Take these names away, as one operation. Open files that have lost one come held once: `let_go` of them."""
        files = [self._remove(target) for target in targets]
        self.journal.record([node for target in targets if (node := target.node) is not None])
        self._tell_of_removal(targets, change)
        return files

    def _tell_of_removal(self, targets: Iterable[Target], change: Change = Change.DISCARDED) -> None:
        for target in targets:
            if target.node is not None:
                self._tell(change, target.box, target.name, target.node)

    def _remove(self, target: Target) -> OpenFile | None:
        """Take a name away. An open file that has lost it comes held once: `let_go` of it, once that is recorded."""
        node = self.tree.detach(target.box, target.name)
        if isinstance(node, Box) or not node.is_named:
            self.usage.remove(node.uid)
        if not isinstance(node, Entry):
            return None
        if not node.is_named:
            self.schedule.put(node, None)
        if node.file is None:
            return None
        former = node.file
        if node.is_named:
            return former.hold()
        node.file = None
        former.leave(node)
        return former

    def let_go(self, files: Iterable[OpenFile | None], *, settled: bool = True) -> None:
        """Tell the guard that open files have lost names, and give back the hold of each.

        Not `settled`: somebody may still receive them under names that they had, so the guard keeps to those.
        """
        held = [file for file in files if file is not None]
        if held and settled and self.guard is not None:
            self.guard.settle(dict.fromkeys(held))
        for file in held:
            file.drop()

    def _swap(self, entry: Entry, file: OpenFile, stasher: Stasher) -> OpenFile | None:
        """Put a file into an entry. What was in it comes held once: drop it, once the change is recorded."""
        former, entry.file = entry.file, file.hold()
        if former is not None:
            former.leave(entry)
        file.enter(entry)
        entry.stasher, entry.changed, entry.judged = stasher, self._clock(), None
        return former

    def _tell(self, change: Change, box: Box, name: str, node: Entry | Box) -> None:
        if self.events.wanted:
            self.events.publish(Event(change, box, name, node))


def exists(target: Target, hint: str | None = None) -> EntryExists:
    """The error for a name that is taken."""
    return EntryExists(f"`{target.path}` exists", name=target.path, hint=hint)


def more_names(target: Target, file: OpenFile) -> int:
    """How many names an open file gets by being put there."""
    node = target.node
    if not isinstance(node, Entry):
        return 1
    return 0 if node.file is file else node.links


def check_names(names: int, target: Target) -> None:
    """Raise TooManyNames if an open file or an empty entry that gets this name may not have so many."""
    if names > MOST_NAMES:
        raise TooManyNames(
            f"`{target.path}` would be one name more than the {MOST_NAMES} that an open file may have",
            name=target.path,
            hint="discard one of them first",
        )


def as_coming(node: Entry | Box) -> Coming:
    """What stands under one name, to come under another."""
    if isinstance(node, Box):
        return Coming(stasher=node.stasher, is_box=True)
    return Coming(node.file, node.label, node.stasher)
