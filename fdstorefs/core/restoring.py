"""Restoring: boxes and entries that were in another store, all of them in one operation or none.

How it all fits in is found out twice: for each thing as it comes, so that what can't be is refused early, and for
everything in the moment in which it is done.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from fdstorefs.core.access import Action, Coming, Target
from fdstorefs.core.agreement import Put
from fdstorefs.core.changing import PERMISSIONS, SET_GROUP_ID, check_names, exists
from fdstorefs.core.event import Change
from fdstorefs.core.name import join, split
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.stashing import REPLACE_HINT, Stashing
from fdstorefs.core.subject import CAP_CHOWN, Subject
from fdstorefs.errors import Busy, InvalidArgument, IsABox, NoSuchEntry, NotABox, StoreError

Made = TypeVar("Made", Entry, Box)


class Arriving(NamedTuple):
    """A box, or an entry under all its names, as it was in another store. `number` is what it will have here.

    Owner and group are kept for a subject that could give it away, the group also for its members; else they are the
    subject's. Times in the future are now. A box that is there already stays as it is.
    """

    paths: Sequence[str]
    is_box: bool
    number: int
    uid: int
    gid: int
    mode: int
    created: int
    changed: int
    file: OpenFile | None = None
    label: str | None = None
    expires: int | None = None
    polled: bool = True
    sealed: bool = False


@dataclass(slots=True)
class Step:
    """One node that is to be made, and the names that it gets. A name whose target has a node is taken from that."""

    node: Entry | Box
    targets: list[Target]
    file: OpenFile | None = None
    label: str | None = None
    sealed: bool = False


@dataclass(slots=True)
class Arrangement:
    """How what arrives fits into the store, below the box `into`. `replace`: an entry's name may be taken from it."""

    subject: Subject
    into: str = ""
    replace: bool = False
    steps: list[Step] = field(default_factory=list)
    boxes: dict[str, Box] = field(default_factory=dict)
    new: set[Box] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    more: Counter[int] = field(default_factory=Counter)
    """How many nodes more each user will have."""
    names: dict[OpenFile, int] = field(default_factory=dict)
    losing: Counter[Entry] = field(default_factory=Counter)
    """How many names each entry loses."""
    changed: dict[Entry, int] = field(default_factory=dict)
    """When each of those was changed last."""
    stamp: object = None


class Restoring(Stashing):
    """The part of a store that everything comes back by at once."""

    def arrange(self, plan: Arrangement, arriving: Arriving) -> int:
        """Find the place of one thing more; boxes come before what is in them. The number that it will have.

        Errors: EntryExists, IsABox, NotABox, NoSuchEntry (of a box that it is to be in), TooManyNames, InvalidArgument
        for a name that comes twice, Denied, Busy.
        """
        if arriving.number in plan.numbers or arriving.number in self.tree.nodes:
            raise Busy(f"the number {arriving.number} is in use", hint="try again")
        plan.numbers.add(arriving.number)
        targets = [self._arrival(plan, path) for path in arriving.paths]
        if arriving.is_box:
            return self._arrange_box(plan, arriving, targets[0])
        self._arrange_entry(plan, arriving, targets)
        return arriving.number

    def require_policy_for_last(self, plan: Arrangement) -> None:
        """Raise Denied if the policy refuses the thing that was arranged last; what is allowed leaves no record yet.

        Where there is a guard it is asked at the end only: of a file that is new, the guard tells what it asks for.
        """
        if self.guard is None:
            for target in plan.steps[-1].targets:
                if not self._authority.policy_allows(plan.subject, Action.STASH, target):
                    self._authority.require_policy(plan.subject, Action.STASH, target)

    def restore(
        self,
        subject: Subject,
        arriving: Sequence[Arriving],
        stasher: Stasher,
        *,
        into: str = "",
        replace: bool = False,
    ) -> None:
        """Put all of it into the store, or nothing. Errors as of the methods above.

        Everybody else waits meanwhile. Where there is no guard, `weigh`, `stands` and `carry_out` do it in pieces.
        """
        plan = Arrangement(subject, into, replace)
        for each in arriving:
            self.arrange(plan, each)
        if plan.steps:
            self.require_room_for(plan)
            with self.agreement(subject, _puts(plan, stasher)) as agreement:
                for step in plan.steps:
                    self._require_step(subject, step)
                agreement.complete()
                self._prepare_restore(plan, stasher)
                self._make_all(plan, stasher)

    def weigh(self, plan: Arrangement, arriving: Arriving) -> None:
        """Find the place of one thing more and have a verdict on it, on record. Errors as of `arrange`, Denied."""
        if not plan.steps:
            plan.stamp = self._stamp()
        before = len(plan.steps)
        self.arrange(plan, arriving)
        for step in plan.steps[before:]:
            self._require_step(plan.subject, step)

    def stands(self, plan: Arrangement) -> bool:
        """Whether what was found out by `weigh`, in turns between which others had theirs, is still so."""
        return not plan.steps or (
            plan.stamp == self._stamp()
            and all(self._still_leads_there(plan, path, box) for path, box in plan.boxes.items())
            and all(self._is_as_it_was(plan, target) for step in plan.steps for target in step.targets)
        )

    def carry_out(self, plan: Arrangement, stasher: Stasher) -> None:
        """Do it: it `stands`. Raises QuotaExceeded, and what the journal raises, and then nothing has changed."""
        if plan.steps:
            self.require_room_for(plan)
            self._prepare_restore(plan, stasher)
            self._make_all(plan, stasher)

    def _stamp(self) -> object:
        return self._authority.stamp(), self.tree.moved_boxes

    def _still_leads_there(self, plan: Arrangement, path: str, box: Box) -> bool:
        """And something may still be put into it."""
        if box in plan.new:
            return True
        target = Target(box, "")
        try:
            self._authority.require_mode(plan.subject, Action.STASH, target)
            self._require_way_to(plan.subject, box)
            self._unsealed(box)
        except StoreError:
            return False
        return box.is_attached and box.path == path

    def _require_way_to(self, subject: Subject, box: Box) -> None:
        """Raise if mode bits keep the subject from reaching what is in this box."""
        inner: Box | None = box
        while inner is not None:
            self._authority.require_mode(subject, Action.SEARCH, Target(inner, ""))
            inner = inner.parent

    def _is_as_it_was(self, plan: Arrangement, target: Target) -> bool:
        there = target.box.children.get(target.name)
        if there is not target.node:
            return False
        if not isinstance(there, Entry):
            return True
        try:
            self._authority.require_mode(plan.subject, Action.DISCARD, target)
        except StoreError:
            return False
        return there.changed == plan.changed[there]

    # Finding places

    def _arrival(self, plan: Arrangement, path: str) -> Target:
        parts = split(path)
        if not parts:
            raise InvalidArgument("the root box is there already: what is restored has a name", name=path)
        *boxes, name = split(join(plan.into, "/".join(parts)))
        above, whole = "/".join(boxes), "/".join([*boxes, name])
        if whole in plan.taken:
            raise InvalidArgument(f"`{whole}` comes twice", name=whole)
        plan.taken.add(whole)
        box = plan.boxes.get(above)
        if box is None:
            box = plan.boxes[above] = self._box_at(plan.subject, above)
        target = self.target(box, name)
        self._require_not_reserved(target)
        if box not in plan.new:
            self._authority.require(plan.subject, Action.SEARCH, target)
        return target

    def _box_at(self, subject: Subject, path: str) -> Box:
        node = self.locate(subject, path).node
        if not isinstance(node, Box):
            raise NotABox(f"`{path}` is an entry, and something is to be restored in it", name=path)
        return node

    def _arrange_box(self, plan: Arrangement, arriving: Arriving, target: Target) -> int:
        there, path = target.node, target.path
        if there is not None:
            self._require_seen(plan, target, Coming(is_box=True))
            if not isinstance(there, Box):
                raise NotABox(f"`{path}` is an entry, and is to be a box", name=path)
            plan.boxes[path] = there
            return there.ino
        self._require_way_in(plan, target)
        box = self._new_box(plan.subject, target, arriving)
        plan.boxes[path] = box
        plan.new.add(box)
        plan.more[box.uid] += 1
        coming = target._replace(coming=Coming(is_box=True))
        plan.steps.append(Step(box, [coming], sealed=arriving.sealed))
        return box.ino

    def _arrange_entry(self, plan: Arrangement, arriving: Arriving, targets: list[Target]) -> None:
        file, coming = arriving.file, Coming(arriving.file, arriving.label)
        for target in targets:
            self._require_way_in(plan, target)
            if target.node is not None:
                self._require_replaceable_name(plan, target, target.node, coming)
        self._count_names(plan, file, targets)
        entry = self._arrived(plan.subject, targets[0].box, arriving)
        plan.more[entry.uid] += 1
        named = [target._replace(coming=coming) for target in targets]
        plan.steps.append(Step(entry, named, file, arriving.label))

    def _require_way_in(self, plan: Arrangement, target: Target) -> None:
        """Raise what keeps a name from being given to anything."""
        free = target._replace(node=None)
        if target.box not in plan.new:
            if not target.box.is_attached:
                raise NoSuchEntry("the box is gone: it was removed")
            self._authority.require_mode(plan.subject, Action.STASH, free)
        self._require_unsealed(plan.subject, Action.STASH, free, target.box)

    def _require_seen(self, plan: Arrangement, target: Target, coming: Coming) -> None:
        """Raise if the subject may not know of what stands there: then that is in the way."""
        if self._as_seen(plan.subject, target).node is None:
            self._authority.require_unoccupied(plan.subject, target._replace(coming=coming))
            raise exists(target)

    def _require_replaceable_name(
        self, plan: Arrangement, target: Target, there: Entry | Box, coming: Coming
    ) -> None:
        self._require_seen(plan, target, coming)
        if isinstance(there, Box):
            raise IsABox(f"`{target.path}` is a box, and is to be an entry", name=target.path)
        if not plan.replace:
            raise exists(target, REPLACE_HINT)
        self._authority.require_mode(plan.subject, Action.DISCARD, target)
        plan.losing[there] += 1
        plan.changed[there] = there.changed
        if plan.losing[there] == there.links:
            plan.more[there.uid] -= 1

    @staticmethod
    def _count_names(plan: Arrangement, file: OpenFile | None, targets: Sequence[Target]) -> None:
        if file is None:
            check_names(len(targets), targets[0])
            return
        kept = sum(isinstance(target.node, Entry) and target.node.file is file for target in targets)
        plan.names[file] = plan.names.get(file, file.names) + len(targets) - kept
        check_names(plan.names[file], targets[0])

    # What it will be

    def _new_box(self, subject: Subject, target: Target, arriving: Arriving) -> Box:
        box = self._new(Box, subject, target.box, arriving)
        box.parent, box.name = target.box, target.name
        return box

    def _arrived(self, subject: Subject, box: Box, arriving: Arriving) -> Entry:
        entry = self._new(Entry, subject, box, arriving)
        entry.label, entry.expires, entry.polled = arriving.label, arriving.expires, arriving.polled
        return entry

    def _new(self, kind: type[Made], subject: Subject, box: Box, arriving: Arriving) -> Made:
        uid, gid, mode = _owned(subject, arriving, box)
        now = self._clock()
        return kind(
            ino=arriving.number,
            uid=uid,
            gid=gid,
            mode=mode,
            created=min(arriving.created, now),
            changed=min(arriving.changed, now),
        )

    # Doing it

    def require_room_for(self, plan: Arrangement) -> None:
        """Raise QuotaExceeded where all of it is too much."""
        try:
            self.usage.check_all(plan.more)
            if self.usage.limits.entries_per_box is not None:
                self._require_room_in_boxes(plan)
        except StoreError as error:
            self._authority.refused(plan.subject, Action.STASH, plan.steps[-1].targets[0], error)
            raise

    def _require_room_in_boxes(self, plan: Arrangement) -> None:
        new = Counter(target.box.ino for step in plan.steps for target in step.targets if target.node is None)
        boxes = {box.ino: box for box in plan.boxes.values()}
        for number, names in new.items():
            self.usage.check_box(boxes[number], names)

    def _require_step(self, subject: Subject, step: Step) -> None:
        for target in step.targets:
            if target.node is not None:
                self._authority.require_policy(subject, Action.DISCARD, target._replace(coming=None))
            self._authority.require_policy(subject, Action.STASH, target)

    def _prepare_restore(self, plan: Arrangement, stasher: Stasher) -> None:
        # Of an entry that loses its last name there is little to say.
        names = sum(entry.links for entry, lost in plan.losing.items() if lost < entry.links) + 1
        texts = [target.name for step in plan.steps for target in step.targets]
        texts += [step.label for step in plan.steps if step.label is not None]
        files = [step.file for step in plan.steps if step.file is not None]
        try:
            self.journal.prepare(names, files, stasher, texts)
        except StoreError as error:
            self._authority.refused(plan.subject, Action.STASH, plan.steps[0].targets[0], error)
            raise

    def _make_all(self, plan: Arrangement, stasher: Stasher) -> None:
        replaced = [target for step in plan.steps for target in step.targets if target.node is not None]
        former = [self._remove(target) for target in replaced]
        for step in plan.steps:
            self._make(step, stasher)
        for step in plan.steps:
            if isinstance(step.node, Box):
                step.node.sealed = step.sealed
        self.journal.record([*(step.node for step in plan.steps), *plan.losing])
        self._tell_of_removal(replaced)
        for step in plan.steps:
            self._announce(step)
        self.let_go(former)

    def _make(self, step: Step, stasher: Stasher) -> None:
        node, first = step.node, step.targets[0]
        node.stasher = stasher
        self._attach(first, node)
        for target in step.targets[1:]:
            self.tree.attach(target.box, target.name, node)
        if isinstance(node, Entry) and step.file is not None:
            node.file = step.file.hold()
            step.file.enter(node)

    def _announce(self, step: Step) -> None:
        node, change = step.node, Change.STASHED if step.file is not None else Change.CREATED
        for target in step.targets:
            self._tell(change, target.box, target.name, node)
        if isinstance(node, Entry):
            self.schedule.put(node, node.expires)
            if self.attend is not None and node.file is not None:
                self.attend(node.file)


def _owned(subject: Subject, arriving: Arriving, box: Box) -> tuple[int, int, int]:
    """Owner, group and mode, as far as the subject may say so. What was a group's is not for another one."""
    may_give = subject.capable(CAP_CHOWN)
    uid = arriving.uid if may_give else subject.uid
    mode = arriving.mode & PERMISSIONS
    if may_give or subject.in_group(arriving.gid):
        return uid, arriving.gid, mode
    gid = box.gid if box.mode & SET_GROUP_ID else subject.gid
    if gid == arriving.gid:
        return uid, gid, mode
    for_others = mode & 0o7
    return uid, gid, mode & ~(SET_GROUP_ID | 0o70) | (mode & for_others << 3)


def _puts(plan: Arrangement, stasher: Stasher) -> list[Put]:
    """What the guard is asked about: each name that an open file gets, as a new one."""
    return [
        Put(target._replace(node=None), step.file, stasher, step.label, step.node.ino)
        for step in plan.steps
        if step.file is not None
        for target in step.targets
    ]
