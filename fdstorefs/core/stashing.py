"""Stashing: empty entries, what fills them, and what is put under a name at once."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from fdstorefs.core.access import Action, Coming, Target
from fdstorefs.core.agreement import Agreement, NoGuard, Put
from fdstorefs.core.changing import ENTRY_MODE, Changing, check_names, exists, more_names
from fdstorefs.core.event import Change
from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.subject import Subject
from fdstorefs.errors import IsABox, StoreError

REPLACE_HINT = "ask to replace it, or discard it first"

_NO_GUARD = NoGuard()


class Stashing(Changing):
    """The part of a store that open files come in by."""

    def create(
        self, subject: Subject, box: Box, name: str, mode: int = ENTRY_MODE, stasher: Stasher | None = None
    ) -> Entry:
        """An empty entry; errors: EntryExists, Denied, QuotaExceeded, Busy (sealed box)."""
        target = self._free(subject, box, name, Coming())
        self._prepare(subject, Action.STASH, target, stasher=stasher)
        entry = self._new_entry(subject, box, mode)
        entry.stasher = stasher
        self._attach(target, entry)
        self.journal.record([entry])
        self._tell(Change.CREATED, box, name, entry)
        return entry

    def fill(self, subject: Subject, entry: Entry, file: OpenFile, stasher: Stasher) -> None:
        """Put `file` into `entry`, which may hold one already: then it is replaced, atomically.

        Whoever comes by the entry itself rather than by its name may be one who can't list it.
        """
        target = self.target_of(subject, entry, Action.STASH)
        puts = [Put(target, file, stasher, None, entry.ino)]
        with self.agreement(subject, puts) as agreement:
            self._require_put(subject, target, file, entry.label)
            agreement.complete()
            self.put_all(subject, puts)

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
        self._require_unsealed(subject, Action.STASH, seen, seen.box)
        return target

    def require_room(self, subject: Subject, targets: list[Target]) -> None:
        """Raise QuotaExceeded if all these can't be stashed together; each alone may be."""
        new = [target for target in targets if target.node is None]
        if len(new) < 2:
            return
        self._require_room(subject, new[-1], len(new))
        last = {target.box.ino: target for target in new}
        for box, names in Counter(target.box.ino for target in new).items():
            self._require_room(subject, last[box], 0, names)

    def check_put(self, subject: Subject, target: Target, file: OpenFile, label: str | None) -> None:
        """Raise Denied if this open file may not be stashed there; `check_stash` said all that it could.

        Without a label the one that is there stays, so that one counts. What is replaced is discarded by it.
        TooManyNames if the open file has too many.
        """
        if target.node is not None:
            self._authority.require_unoccupied(subject, target._replace(coming=Coming(file, label)))
        kept = target.node.label if isinstance(target.node, Entry) else None
        self._require_put(subject, target, file, label if label is not None else kept)

    def require_names(self, puts: Sequence[tuple[Target, OpenFile]]) -> None:
        """Raise TooManyNames if all these can't be put together; each alone may be."""
        names: dict[OpenFile, int] = {}
        for target, file in puts:
            names[file] = names.get(file, file.names) + more_names(target, file)
            check_names(names[file], target)

    def _require_put(self, subject: Subject, target: Target, file: OpenFile, label: str | None) -> None:
        there = target.node if isinstance(target.node, Entry) else None
        filler = Coming(file, label)
        maker = filler._replace(stasher=there.stasher) if there is not None and there.file is None else filler
        self._require_coming(subject, target, filler, maker)
        if there is not None and there.file is not None:
            self._require_discards(subject, target)
        self._require_other_names(subject, target, dict.fromkeys((filler, maker)))
        self.require_names([(target, file)])

    def _require_coming(self, subject: Subject, target: Target, filler: Coming, maker: Coming) -> None:
        """An empty entry is filled for its maker, and by whoever is its stasher from then on: both must be allowed.

        Of what is allowed that is one record.
        """
        by_filler = target._replace(coming=filler)
        self._authority.require_mode(subject, Action.STASH, by_filler)
        self._require_unsealed(subject, Action.STASH, by_filler, target.box)
        if maker is not filler:
            self._authority.require_implied(subject, Action.STASH, by_filler)
        self._authority.require_policy(subject, Action.STASH, target._replace(coming=maker))

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
        Denied, Busy, QuotaExceeded, TooManyNames and those of `locate_goal`.
        """
        target = self.check_stash(subject, path, replace=replace)
        put = self.to_put(target, file, stasher, label)
        with self.agreement(subject, [put]) as agreement:
            self.check_put(subject, target, file, label)
            agreement.complete()
            return self.put_all(subject, [put], mode=mode)[0]

    def to_put(
        self,
        target: Target,
        file: OpenFile,
        stasher: Stasher,
        label: str | None = None,
        expires: int | None = None,
        polled: bool | None = None,
    ) -> Put:
        """What is to be put under a name, with the number that a new entry will have."""
        number = target.node.ino if target.node is not None else self.tree.next_ino()
        return Put(target, file, stasher, label, number, expires, polled)

    def agreement(self, subject: Subject, puts: Sequence[Put]) -> Agreement | NoGuard:
        """The guard's consent to all these puts; what `check_put` and `put` are called within."""
        if self.guard is None:
            return _NO_GUARD
        return Agreement(self.guard, puts, partial(self._not_put, subject))

    def _not_put(self, subject: Subject, put: Put, error: StoreError) -> None:
        target = put.target._replace(coming=Coming(put.file, put.label))
        self._authority.refused(subject, Action.STASH, target, error)

    def put_all(
        self, subject: Subject, puts: Sequence[Put], *, mode: int = ENTRY_MODE
    ) -> list[tuple[Entry, bool]]:
        """The last part of `stash`: do all that has just been allowed. The entries, and whether each was replaced.

        Raises what the journal raises, and then nothing has changed.
        """
        self._prepare_puts(subject, puts)
        done = [self._put(subject, put, mode) for put in puts]
        self.journal.record([entry for entry, _ in done])
        for put, (entry, former) in zip(puts, done, strict=True):
            change = Change.REPLACED if former is not None else Change.STASHED
            self._tell(change, put.target.box, put.target.name, entry)
            self.schedule.put(entry, entry.expires)
            if former is not None:
                former.drop()
            if self.attend is not None and entry.file is not None:
                self.attend(entry.file)
        return [(entry, former is not None) for entry, former in done]

    def _prepare_puts(self, subject: Subject, puts: Sequence[Put]) -> None:
        names = sum(put.target.node.links if put.target.node is not None else 1 for put in puts)
        try:
            self.journal.prepare(names, [put.file for put in puts], puts[0].stasher)
        except StoreError as error:
            error.name = puts[0].target.path
            self._not_put(subject, puts[0], error)
            raise

    def _put(self, subject: Subject, put: Put, mode: int) -> tuple[Entry, OpenFile | None]:
        target, entry = put.target, put.target.node
        if not isinstance(entry, Entry):
            entry = self._new_entry(subject, target.box, mode, put.number)
            self._attach(target, entry)
        former = self._swap(entry, put.file, put.stasher)
        entry.label = put.label if put.label is not None else entry.label
        entry.polled = put.polled if put.polled is not None else entry.polled
        if former is not None or put.expires is not None:
            # What comes in place of something that was to go is not to go with it.
            entry.expires = put.expires
        return entry, former
