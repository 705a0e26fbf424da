"""Classes: what the tables say of an entry, whoever asks. Made once when something is stashed, then looked up."""

from dataclasses import dataclass
from typing import Any

from fdstorefs.policy.glob_below import could_fit_below
from fdstorefs.policy.glob_index import globs_fitting
from fdstorefs.policy.request import NOBODY_KNOWN, OPEN, UNKNOWN, EntryFacts, Open, Person, Unknown
from fdstorefs.policy.tables import Listed, Needs, Space, Tables, Vector
from fdstorefs.policy.vocabulary import BOX


@dataclass(frozen=True, slots=True)
class Part:
    """The terms of one space that the entry does not rule out.

    `stasher_same`, `opener_same`: those among them that it rules out unless its stasher or opener has the
    subject's uid. `assumed_same`: as `opener_same`, where the stasher stands for an unknown opener.
    """

    terms: Vector
    stasher_same: Vector
    opener_same: Vector
    assumed_same: Vector


@dataclass(frozen=True, slots=True)
class EntryClass:
    """All that a verdict needs to know of an entry. `assumed` is the opener for the terms in `assume`.

    `reach` is not None for a box: the allow terms that could allow something there or below.
    """

    main: Part
    unless: Part
    stasher: Person
    opener: Person
    assumed: Person
    reach: Vector | None


def classify(tables: Tables, entry: EntryFacts) -> EntryClass:
    """The class of an entry under one of its names."""
    assumed = _assume(entry.opener, entry.stasher)
    return EntryClass(
        main=_part(tables, tables.main, entry, assumed),
        unless=_part(tables, tables.unless, entry, assumed),
        stasher=entry.stasher,
        opener=entry.opener,
        assumed=assumed,
        reach=_reach(tables, entry.path) if entry.kind == BOX else None,
    )


def _assume(opener: Person, stasher: Person) -> Person:
    """The opener, or the stasher where nothing is known of it."""
    return stasher if opener == NOBODY_KNOWN else opener


def _part(tables: Tables, space: Space, entry: EntryFacts, assumed: Person) -> Part:
    terms = tables.everything
    terms &= ~space.names.asks | globs_fitting(space.names, entry.path)
    for listed, value in (
        (space.kinds, entry.kind),
        (space.filesystems, entry.filesystem),
        (space.access, entry.access),
        (space.guarded, entry.guarded),
        (space.labels, entry.label),
    ):
        terms &= met(listed, value, space.lenient) | ~listed.asks
    stasher, stasher_same = _uid(space, space.stasher_uid, space.stasher_same, entry.stasher.uid)
    opener, opener_same = _opener(space, entry.opener)
    stand_in, assumed_same = _opener(space, assumed)
    terms &= stasher & (opener & ~tables.assume | stand_in & tables.assume)
    return Part(
        terms=terms,
        stasher_same=terms & stasher_same,
        opener_same=terms & opener_same & ~tables.assume,
        assumed_same=terms & assumed_same & tables.assume,
    )


def _opener(space: Space, opener: Person) -> tuple[Vector, Vector]:
    terms, same = _uid(space, space.opener_uid, space.opener_same, opener.uid)
    return terms & capabilities_met(space.opener_capabilities, opener.capabilities, space.lenient), same


def _uid(space: Space, listed: Listed, same: Vector, uid: int | Unknown | Open) -> tuple[Vector, Vector]:
    """The terms that a uid may satisfy, and those that it does only if it is the subject's own."""
    terms = met(listed, uid, space.lenient)
    if uid is UNKNOWN or uid is OPEN:
        return terms | ~listed.asks, 0
    if_same = same & ~listed.known.get(uid, 0)
    return terms | same | ~listed.asks, if_same


def met(listed: Listed, value: Any, lenient: Vector) -> Vector:
    """Of the terms that have the condition, those for which the value meets it."""
    if value is UNKNOWN:
        return listed.asks & lenient
    if value is OPEN:
        return listed.asks & ~lenient
    return listed.known.get(value, listed.other)


def capabilities_met(needs: Needs, held: int | Unknown | Open, lenient: Vector) -> Vector:
    """The terms that these capabilities do not rule out."""
    if held is UNKNOWN:
        return ~needs.asks | lenient
    if held is OPEN:
        return ~(needs.asks & lenient)
    missing = 0
    for bit, terms in needs.needs.items():
        if not held >> bit & 1:
            missing |= terms
    return ~missing


def _reach(tables: Tables, box: str) -> Vector:
    globs = tables.main.names
    terms = ~globs.asks | globs_fitting(globs, box)
    for pattern, vector in globs.patterns:
        if vector & ~terms and could_fit_below(pattern, box):
            terms |= vector
    return tables.reach & terms
