"""Stashing: empty entries, what fills them, and what is put under a name at once."""

from fdstorefs.core.access import Action, Coming, Target
from fdstorefs.core.changing import ENTRY_MODE, Changing, exists
from fdstorefs.core.event import Change
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.errors import IsABox

REPLACE_HINT = "ask to replace it, or discard it first"


class Stashing(Changing):
    """The part of a store that open files come in by."""

    def create(
        self, subject: Subject, box: Box, name: str, mode: int = ENTRY_MODE, stasher: Stasher | None = None
    ) -> Entry:
        """An empty entry; errors: EntryExists, Denied, QuotaExceeded, Busy (sealed box)."""
        target = self._free(subject, box, name, Coming())
        entry = self._new_entry(subject, box, mode)
        entry.stasher = stasher
        self._attach(target, entry)
        self._tell(Change.CREATED, box, name, entry)
        return entry

    def fill(self, subject: Subject, entry: Entry, file: OpenFile, stasher: Stasher) -> None:
        """Put `file` into `entry`, which may hold one already: then it is replaced, atomically.

        Whoever comes by the entry itself rather than by its name may be one who can't list it.
        """
        target = self.target_of(subject, entry, Action.STASH)
        self._require_put(subject, target, file, entry.label)
        change = Change.REPLACED if entry.file is not None else Change.STASHED
        self._swap(entry, file, stasher)
        self._tell(change, target.box, target.name, entry)

    def check_stash(self, subject: Subject, path: str, *, replace: bool = False) -> Target:
        """Raise whatever `stash` would raise before a descriptor is even looked at.

        Where something stands that the subject may not know of, that is what it would raise if nothing did.
        """
        target = self.locate_goal(subject, path)
        seen = self._as_seen(subject, target)
        if isinstance(seen.node, Box):
            raise IsABox(f"`{path}` is a box", name=path)
        if seen.node is None:
            self._require_vacancy(subject, seen, 1)
            return target
        if seen.node.file is not None and not replace:
            raise exists(target, REPLACE_HINT)
        self._authority.require_mode(subject, Action.STASH, seen)
        self._unsealed(seen.box)
        return target

    def require_room(self, subject: Subject, targets: list[Target]) -> None:
        """Raise QuotaExceeded if all these can't be stashed together; each alone may be."""
        new = [target for target in targets if target.node is None]
        if new:
            self._require_room(subject, new[-1], len(new))

    def check_put(self, subject: Subject, target: Target, file: OpenFile, label: str | None) -> None:
        """Raise Denied if this open file may not be stashed there; `check_stash` said all that it could.

        What is replaced is discarded by it. An empty entry is filled for whoever made it.
        """
        if target.node is not None:
            self._authority.require_unoccupied(subject, target._replace(coming=Coming(file, label)))
        self._require_put(subject, target, file, label)

    def _require_put(self, subject: Subject, target: Target, file: OpenFile, label: str | None) -> None:
        there = target.node if isinstance(target.node, Entry) else None
        maker = there.stasher if there is not None and there.file is None else None
        coming = Coming(file, label, maker)
        self._authority.require(subject, Action.STASH, target._replace(coming=coming))
        if there is not None and there.file is not None:
            self._authority.require_policy(subject, Action.DISCARD, target)
        self._require_other_names(subject, target, coming)
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
        Denied, Busy, QuotaExceeded and those of `locate_goal`.
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
