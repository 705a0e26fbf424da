"""Renaming: one name goes and another comes, for a box and all that is in it."""

from itertools import islice

from fdstorefs.core.access import Action, Target
from fdstorefs.core.changing import Changing, as_coming
from fdstorefs.core.event import Change, Event
from fdstorefs.core.moving import names_moved
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Busy, EntryExists, InvalidArgument, IsABox, NotABox, NotEmpty

MOST_MOVED = 1024
"""How many entries and boxes may be in a box that is renamed: each is judged twice, while all others wait."""


class Renaming(Changing):
    """The part of a store that renames."""

    def rename(self, subject: Subject, source: Target, goal: Target, *, replace: bool = True) -> None:
        """Give what `source` names the name of `goal`; what is there goes, if `replace`, as by rename(2).

        What is there is not spoken of before the subject may rename, nor if it may not know of it.
        """
        moved = self._existing(source)
        goal = goal._replace(coming=as_coming(moved))
        self._require_place(goal)
        seen = self._as_seen(subject, goal).node
        self._require_rename(subject, source, moved, goal.box, seen)
        if seen is moved:
            return
        if isinstance(moved, Box):
            self._require_movable(subject, source, moved, goal)
        if goal.node is not None:
            self._authority.require_unoccupied(subject, goal)
            self._require_replaceable(moved, goal, goal.node, replace)
        self._require_goal(subject, source, goal)
        replaced = [goal] if goal.node is not None else []
        self._prepare(subject, Action.RENAME, source, moved, *([goal.node] if goal.node is not None else []))
        if self.guard is not None:
            self._require_guard(subject, Action.RENAME, source, names_moved(source, goal))
        former = source.path
        files = [self._remove(target) for target in replaced]
        self.tree.move(source.box, source.name, goal.box, goal.name)
        moved.changed = self._clock()
        self.journal.record([moved] if goal.node is None else [moved, goal.node])
        self._tell_of_removal(replaced)
        self.events.publish(Event(Change.RENAMED, goal.box, goal.name, moved, former))
        self.let_go(files)

    def _require_rename(
        self, subject: Subject, source: Target, moved: Entry | Box, box: Box, there: Entry | Box | None
    ) -> None:
        """Raise what keeps it from leaving, or from coming into `box` in place of what is seen to be there."""
        self._authority.require_mode(subject, Action.RENAME, source)
        if there is not moved:
            for sealed in (source.box, box, moved, there):
                if isinstance(sealed, Box):
                    self._require_unsealed(subject, Action.RENAME, source, sealed)
        self._authority.require_policy(subject, Action.RENAME, source)

    def _require_goal(self, subject: Subject, source: Target, goal: Target) -> None:
        if goal.node is None:
            if goal.box is not source.box:
                self._authority.require_mode(subject, Action.STASH, goal)
                self._require_room(subject, goal, 0)
            self._authority.require(subject, Action.STASH, goal)
            return
        self._authority.require(subject, Action.DISCARD, goal._replace(coming=None))
        self._authority.require_policy(subject, Action.STASH, goal)

    def _require_movable(self, subject: Subject, source: Target, moved: Box, goal: Target) -> None:
        if goal.box.is_inside(moved):
            raise InvalidArgument(f"`{goal.path}` is inside the box that is to be moved", name=goal.path)
        self._require_contents(subject, source, moved, goal)

    def _require_contents(self, subject: Subject, source: Target, moved: Box, goal: Target) -> None:
        # Who may rename a box must not by that bring what others keep in it under other rules.
        contents = list(islice(self.tree.walk(moved), MOST_MOVED + 1))
        if len(contents) > MOST_MOVED:
            raise Busy(
                f"`{source.path}` has more than {MOST_MOVED} entries and boxes in it, too many to be judged at once",
                name=source.path,
                hint="rename what is in it, then remove it",
            )
        for path, box, name, node in contents:
            self._require_implied(subject, Action.RENAME, Target(box, name, node), source)
            new = Target(goal.box, f"{goal.name}/{path}", None, as_coming(node))
            self._require_implied(subject, Action.STASH, new, source)

    def _require_replaceable(
        self, moved: Entry | Box, goal: Target, there: Entry | Box, replace: bool
    ) -> None:
        if not replace:
            raise EntryExists(f"`{goal.path}` exists", name=goal.path)
        if isinstance(moved, Box) and not isinstance(there, Box):
            raise NotABox(f"`{goal.path}` is an entry", name=goal.path)
        if isinstance(there, Box):
            self._require_replaceable_box(moved, goal, there)

    def _require_replaceable_box(self, moved: Entry | Box, goal: Target, there: Box) -> None:
        if not isinstance(moved, Box):
            raise IsABox(f"`{goal.path}` is a box", name=goal.path)
        if there.children:
            raise NotEmpty(f"`{goal.path}` is not empty", name=goal.path)
