"""Retrieving and taking: what open files go out by."""

from collections.abc import Sequence

from fdstorefs.core.access import Action, Target
from fdstorefs.core.changing import Changing
from fdstorefs.core.guard import Guard
from fdstorefs.core.node import Box, OpenFile
from fdstorefs.core.subject import Subject
from fdstorefs.errors import EmptyEntry, IsABox, NoSuchEntry, StoreError


class Retrieving(Changing):
    """The part of a store that delivers."""

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
        self.let_go(self.remove_taken([target for target, _ in taken]))
        return files

    def check_take(self, subject: Subject, paths: Sequence[str]) -> list[tuple[Target, OpenFile]]:
        """What `take_many` would take, or its error; nothing is taken yet."""
        targets = self.locate_distinct(subject, paths, Action.TAKE)
        taken = [(target, self._ready(subject, Action.TAKE, target)) for target in targets]
        if taken:
            self._prepare(subject, Action.TAKE, targets[0], *(self._existing(target) for target in targets))
        return taken

    def remove_taken(self, targets: Sequence[Target]) -> list[OpenFile | None]:
        """Take the names away that `check_take` allowed a moment ago, as far as they still stand for the same.

        `let_go` of what comes back once nobody can receive the files under these names any more: so long the guard is
        to know of them.
        """
        return self._remove_all(
            [target for target in targets if target.box.children.get(target.name) is target.node]
        )

    def _ready(self, subject: Subject, action: Action, target: Target) -> OpenFile:
        entry = self._existing(target)
        if isinstance(entry, Box):
            raise IsABox(f"`{target.path}` is a box", name=target.path)
        if entry.expires is not None and self.is_over(entry.expires):
            # It goes in a moment. Whoever asks in that moment is not to be the one who still gets it.
            raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
        if self.guard is not None and entry.file is not None:
            self._require_enforced(subject, action, target, self.guard, entry.file)
        self._require(subject, action, target)
        if entry.file is None:
            raise EmptyEntry(f"`{target.path}` holds nothing yet", name=target.path)
        return entry.file

    def _require_enforced(
        self, subject: Subject, action: Action, target: Target, guard: Guard, file: OpenFile
    ) -> None:
        try:
            guard.require_delivery(file)
        except StoreError as error:
            error.name = target.path
            self._authority.refused(subject, action, target, error)
            raise
