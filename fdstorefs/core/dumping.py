"""Dumping: what there is to know of an entry or box, and its open file, for whoever puts it into another store.

Whoever may retrieve and describe an entry could do so by himself. A seal keeps back what is below it, but not from
those who may break it: then that is on record, too.
"""

from collections.abc import Callable

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.retrieving import Retrieving
from fdstorefs.core.subject import Subject

Wanted = Callable[[str], bool]
"""Whether a path is asked for."""


class Dumping(Retrieving):
    """The part of a store that gives everything away at once."""

    def names_to_dump(self, subject: Subject, node: Entry | Box, wanted: Wanted) -> list[Target]:
        """The names of a node, as they are now, that are asked for and that a listing would show to the subject."""
        if isinstance(node, Box):
            return [self.target_of(subject, node)] if node.is_attached else []
        if node.expires is not None and self.is_over(node.expires):
            return []
        targets = [Target(box, name, node) for box, name in node.places]
        return [target for target in targets if wanted(target.path) and self.shows(subject, target)]

    def shows(self, subject: Subject, target: Target) -> bool:
        """Whether a listing would: listing its box and each box above, and searching all but the root."""
        while True:
            if not self.may(subject, Action.LIST, target):
                return False
            box = target.box
            if box.parent is None:
                return True
            if not self.may(subject, Action.SEARCH, Target(box, "")):
                return False
            target = Target(box.parent, box.name, box)

    def require_dump(self, subject: Subject, target: Target, opened: set[Box]) -> None:
        """Raise what keeps the subject from having an entry, or from knowing what is in a box.

        Errors: Denied, NotPermitted, NotGuarded, Busy (a seal that it may not break). `opened` are the sealed boxes
        that it was allowed to look into by the same request.
        """
        if isinstance(target.node, Box):
            self._require_look(subject, target.node)
        elif isinstance(target.node, Entry):
            self._require_copy(subject, target, target.node, opened)

    def _require_look(self, subject: Subject, box: Box) -> None:
        self._authority.require(subject, Action.LIST, self._self(box))
        self._authority.require(subject, Action.SEARCH, Target(box, ""))

    def _require_copy(self, subject: Subject, target: Target, entry: Entry, opened: set[Box]) -> None:
        if self.guard is not None and entry.file is not None:
            self._require_enforced(subject, Action.RETRIEVE, target, self.guard, entry.file)
        self._authority.require_mode(subject, Action.RETRIEVE, target)
        self._require_open(subject, target, opened)
        if not self.may(subject, Action.DESCRIBE, target):
            self._authority.require(subject, Action.DESCRIBE, target)
        self._authority.require_policy(subject, Action.RETRIEVE, target)

    def _require_open(self, subject: Subject, target: Target, opened: set[Box]) -> None:
        box: Box | None = target.box
        while box is not None:
            if box.sealed and box not in opened:
                itself = self.target_of(subject, box)
                if not self.may(subject, Action.SEAL, itself):
                    self._require_unsealed(subject, Action.RETRIEVE, target, box)
                self._authority.require(subject, Action.SEAL, itself)
                opened.add(box)
            box = box.parent
