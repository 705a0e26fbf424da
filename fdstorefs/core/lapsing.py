"""Lapsing: entries that go by themselves, when their time has come or when the other side has hung up.

An entry goes whole, under all its names, as one operation; what is in a sealed box doesn't change or leave, so names
there go when the box is unsealed. When it is time, and who has hung up, whoever runs the store finds out.
"""

from collections.abc import Iterable, Sequence

from fdstorefs.core.access import Action, Target
from fdstorefs.core.changing import Changing
from fdstorefs.core.event import Change
from fdstorefs.core.node import Entry
from fdstorefs.core.subject import Subject


class Lapsing(Changing):
    """The part of a store that entries go from by themselves."""

    def set_expiry(self, subject: Subject, entry: Entry, expires: int | None) -> None:
        """Have the entry go at this time, or never; errors: NotPermitted, Denied, Busy.

        Whoever says when it goes discards it then, so the policy must allow that, under all its names.
        """
        target = self._check_lapse(subject, entry, lapses=expires is not None)
        entry.expires = expires
        self._changed(target, entry)
        self.schedule.put(entry, expires)

    def set_polled(self, subject: Subject, entry: Entry, *, polled: bool) -> None:
        """Have the entry go when what it holds is hung up, or stay; errors as of `set_expiry`."""
        target = self._check_lapse(subject, entry, lapses=polled)
        entry.polled = polled
        self._changed(target, entry)
        if self.attend is not None and entry.file is not None:
            self.attend(entry.file)

    def _check_lapse(self, subject: Subject, entry: Entry, *, lapses: bool) -> Target:
        target = self.target_of(subject, entry, Action.CHANGE)
        self._require(subject, Action.CHANGE, target)
        if lapses:
            self._require_discards(subject, target)
        self._prepare(subject, Action.CHANGE, target, entry)
        return target

    def _changed(self, target: Target, entry: Entry) -> None:
        entry.changed = self._clock()
        self.journal.record([entry])
        self._tell(Change.CHANGED, target.box, target.name, entry)

    def may_lapse(self, entry: Entry) -> list[Target]:
        """The names of an entry that can go now: those that are in no sealed box."""
        return [Target(box, name, entry) for box, name in entry.places if not box.is_sealed]

    def lapse(self, targets: Sequence[Target], change: Change) -> None:
        """Take these names away, as one operation. Raises what the journal raises, and then nothing has changed."""
        self.journal.prepare(_count_names(targets))
        self.let_go(self._remove_all(targets, change))


def _count_names(targets: Iterable[Target]) -> int:
    entries = dict.fromkeys(target.node for target in targets)
    return sum(entry.links for entry in entries if entry is not None) + 1
