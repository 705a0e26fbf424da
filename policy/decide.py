"""The decision: lookups in the tables, joined by AND.

A condition is looked up only while a term that has it is left, so what is expensive to learn of a subject is
learned only if the verdict depends on it.
"""

from collections.abc import Sequence

from fdstorefs.policy.cgroup_globs import cgroup_globs_met
from fdstorefs.policy.classify import (
    EntryClass,
    Part,
    capabilities_met,
    classify,
    met,
)
from fdstorefs.policy.request import (
    OPEN,
    UNKNOWN,
    Open,
    Person,
    Request,
    Subject,
    Unknown,
    Userns,
    relation,
)
from fdstorefs.policy.tables import Space, Tables, Vector
from fdstorefs.policy.verdict import RuleIds, Verdict
from fdstorefs.policy.vocabulary import Action, Relation

MOST_REMEMBERED = 4096
"""Cgroups and capability sets whose vectors are kept; they are all forgotten when there are more."""


def decide(tables: Tables, request: Request) -> Verdict:
    """The verdict on a request."""
    entry = classify(tables, request.entry)
    also = [classify(tables, other) for other in request.also]
    return Evaluator(tables, request.instance).decide(request.action, entry, request.subject, also)


class Side:
    """A space, and the terms in it that have to be looked at further, put together once: most decisions skip most."""

    __slots__ = ("about_opener", "about_subject", "same_userns", "space", "stasher_userns")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.about_subject = (
            space.uid.asks | space.gid.asks | space.cgroups.asks | space.capabilities.asks | space.userns.asks
        )
        self.about_opener = space.opener_same | space.opener_no_more | space.opener_userns.asks
        self.stasher_userns = space.stasher_userns.asks
        listed = space.stasher_userns
        self.same_userns = met(listed, Relation.SAME, space.lenient) | ~listed.asks


class Evaluator:
    """Decides by one set of tables, for an instance in user namespace `instance`."""

    __slots__ = ("_all_enforced", "_ids", "_instance", "_main", "_remembered", "_tables", "_unless")

    def __init__(self, tables: Tables, instance: Userns) -> None:
        self._tables = tables
        self._ids = RuleIds(tables.rule_of)
        self._main, self._unless = Side(tables.main), Side(tables.unless)
        self._instance = instance
        self._all_enforced = tables.enforcing and tables.enforced == tables.everything
        self._remembered: dict[tuple[bool, str | int | Unknown], Vector] = {}

    @property
    def tables(self) -> Tables:
        """The tables it decides by."""
        return self._tables

    def decide(
        self, action: Action, entry: EntryClass, subject: Subject, also: Sequence[EntryClass] = ()
    ) -> Verdict:
        """The verdict on an entry; `also` are the classes of the open file's other names."""
        if entry.reach is not None and action is Action.LIST:
            return self._verdict(self._matching_box(entry, subject))
        matching = self._matching(action, entry, subject)
        if also and action in (Action.RETRIEVE, Action.TAKE):
            return self._among(action, matching, also, subject)
        return self._verdict(matching)

    def _among(
        self, action: Action, asked_for: Vector, also: Sequence[EntryClass], subject: Subject
    ) -> Verdict:
        """Under any name; and for a take, which removes one of them, under that one too."""
        anywhere = asked_for
        for entry in also:
            anywhere |= self._matching(action, entry, subject)
        if action is Action.TAKE:
            # What forbids it under any name forbids it. What allows it must do so under the one that goes.
            anywhere = anywhere & self._tables.forbid | asked_for
        return self._verdict(anywhere)

    def _verdict(self, matching: Vector) -> Verdict:
        tables = self._tables
        forbids, allows = matching & tables.forbid, matching & tables.allow
        decided = not forbids and allows != 0
        allowed = decided
        if not self._all_enforced:
            in_force = not forbids & tables.enforced and allows & tables.enforced != 0
            allowed = in_force or not tables.enforcing
        return Verdict(allowed=allowed, decided=decided, forbids=forbids, allows=allows, ids=self._ids)

    def _matching(self, action: Action, entry: EntryClass, subject: Subject) -> Vector:
        """The terms that match."""
        tables = self._tables
        terms = entry.main.terms & tables.actions[action]
        if terms:
            terms = self._narrowed(self._main, terms, entry.main, entry, subject)
        blocked = terms & tables.has_unless & entry.unless.terms
        if blocked:
            terms &= ~self._narrowed(self._unless, blocked, entry.unless, entry, subject)
        return terms

    def _matching_box(self, box: EntryClass, subject: Subject) -> Vector:
        """For `list` of a box: forbid terms as for any entry, and all allow terms that lead on from it."""
        tables = self._tables
        forbids = self._matching(Action.LIST, box, subject) & tables.forbid
        assert box.reach is not None
        allows = self._narrowed_by_subject(tables.main, box.reach, subject)
        blocked = allows & tables.about_subject
        if blocked:
            allows &= ~self._narrowed_by_subject(tables.unless, blocked, subject)
        return forbids | allows

    def _narrowed(self, side: Side, terms: Vector, part: Part, entry: EntryClass, subject: Subject) -> Vector:
        """Those of `terms` whose conditions are met, in this space."""
        if terms & side.about_subject:
            terms = self._narrowed_by_subject(side.space, terms, subject)
        stasher = entry.stasher
        if terms & part.stasher_same and stasher.uid != subject.uid:
            other = side.space.stasher_uid.other
            terms &= _same_uid(side.space, part.stasher_same, other, stasher.uid, subject.uid)
        if terms & side.stasher_userns:
            if stasher.userns == subject.userns and isinstance(stasher.userns, tuple):
                terms &= side.same_userns
            else:
                terms &= self._userns(side.space, stasher.userns, subject, of_stasher=True)
        if terms & side.about_opener:
            terms = self._narrowed_by_openers(side.space, terms, part, entry, subject)
        return terms

    def _narrowed_by_openers(
        self, space: Space, terms: Vector, part: Part, entry: EntryClass, subject: Subject
    ) -> Vector:
        """By the opener, or the stasher in its place."""
        assumed = terms & self._tables.assume
        if assumed:
            known = self._narrowed_by_opener(space, terms ^ assumed, part.opener_same, entry.opener, subject)
            return known | self._narrowed_by_opener(space, assumed, part.assumed_same, entry.assumed, subject)
        return self._narrowed_by_opener(space, terms, part.opener_same, entry.opener, subject)

    def _narrowed_by_subject(self, space: Space, terms: Vector, subject: Subject) -> Vector:
        lenient = space.lenient
        if terms & space.uid.asks:
            terms &= met(space.uid, subject.uid, lenient) | ~space.uid.asks
        if terms & space.gid.asks:
            terms &= _gids_met(space, subject.gids) | ~space.gid.asks
        if terms & space.userns.asks:
            standing = self._standing(subject)
            terms &= met(space.userns, standing, lenient) | ~space.userns.asks
        if terms & space.cgroups.asks:
            terms &= self._cgroup_met(space, subject.cgroup)
        if terms & space.capabilities.asks:
            terms &= self._capabilities_met(space, subject.capabilities)
        return terms

    def _cgroup_met(self, space: Space, cgroup: str | Unknown) -> Vector:
        key = (space is self._tables.main, cgroup)
        found = self._remembered.get(key)
        if found is None:
            found = self._remember(key, cgroup_globs_met(space.cgroups, cgroup, space.lenient))
        return found

    def _capabilities_met(self, space: Space, held: int | Unknown) -> Vector:
        if held is UNKNOWN:
            return capabilities_met(space.capabilities, held, space.lenient)
        key = (space is self._tables.main, held)
        found = self._remembered.get(key)
        if found is None:
            found = self._remember(key, capabilities_met(space.capabilities, held, space.lenient))
        return found

    def _remember(self, key: tuple[bool, str | int | Unknown], vector: Vector) -> Vector:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = vector
        return vector

    def _standing(self, subject: Subject) -> object:
        return relation(subject.userns, self._instance, self._instance)

    def _narrowed_by_opener(
        self, space: Space, terms: Vector, same: Vector, opener: Person, subject: Subject
    ) -> Vector:
        if terms & same:
            terms &= _same_uid(space, same, space.opener_uid.other, opener.uid, subject.uid)
        if terms & space.opener_no_more:
            terms &= _no_more(space, opener.capabilities, subject)
        if terms & space.opener_userns.asks:
            terms &= self._userns(space, opener.userns, subject, of_stasher=False)
        return terms

    def _userns(
        self, space: Space, theirs: Userns | Unknown | Open, subject: Subject, *, of_stasher: bool
    ) -> Vector:
        listed = space.stasher_userns if of_stasher else space.opener_userns
        found = theirs if theirs is OPEN else relation(theirs, subject.userns, self._instance)
        return met(listed, found, space.lenient) | ~listed.asks


def _gids_met(space: Space, gids: frozenset[int] | Unknown) -> Vector:
    if gids is UNKNOWN:
        return space.gid.asks & space.lenient
    terms = space.gid.other
    for gid in gids:
        terms |= space.gid.known.get(gid, 0)
    return terms


def _same_uid(
    space: Space, if_same: Vector, other: Vector, theirs: int | Unknown | Open, ours: int | Unknown
) -> Vector:
    """All terms but those of `if_same` that the comparison rules out; classes leave only known uids to it.

    `other` are those for which any uid may be one that they list, so that they stay.
    """
    if ours is UNKNOWN:
        return ~(if_same & ~space.lenient)
    return ~0 if theirs == ours else ~(if_same & ~other)


def _no_more(space: Space, theirs: int | Unknown | Open, subject: Subject) -> Vector:
    asks = space.opener_no_more
    if theirs is OPEN:
        return ~(asks & space.lenient)
    if theirs == 0:
        return ~0
    ours = UNKNOWN if theirs is UNKNOWN else subject.capabilities
    if ours is UNKNOWN or theirs is UNKNOWN:
        return ~(asks & ~space.lenient)
    return ~0 if theirs & ~ours == 0 else ~asks
