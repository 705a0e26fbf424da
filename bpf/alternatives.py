"""The names of an open file as the kernel judges them: together, once for each stasher and each action it can see.

What is delivered is the file, and it is allowed if `retrieve` or `take` would be allowed under some name. Whichever
name is asked for, the others count with its stasher. So the names with one stasher differ in nothing that a subject is
compared with: their terms can be joined, term by term, and one class for each action has what all of them say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from fdstorefs.bpf.abi import MOST_CLASSES
from fdstorefs.bpf.profile import DELIVERIES
from fdstorefs.policy.classify import EntryClass, classify
from fdstorefs.policy.request import OPEN, EntryFacts, Person
from fdstorefs.policy.tables import Space, Tables, Vector
from fdstorefs.policy.vocabulary import Action


class TooManyClasses(ValueError):
    """More people stashed one open file than a class set has room for."""


class Alternative(NamedTuple):
    """An action, under the names that one person stashed; it allows the delivery if it is allowed."""

    stasher: Person
    action: Action


class Joined(NamedTuple):
    """What all names say for one alternative.

    `main` are the terms left, `unless` those that match under no name if their `unless` holds. `*_same`, per space:
    those that are left only if the subject's uid is the stasher's or opener's.
    """

    main: Vector
    unless: Vector
    stasher_same: tuple[Vector, Vector]
    opener_same: tuple[Vector, Vector]


def alternatives(names: Sequence[EntryFacts]) -> tuple[Alternative, ...]:
    """The alternatives of an open file, whatever the policy; each is a class.

    Raises TooManyClasses, and ValueError for names that cannot be of one open file: none, or with several openers.
    """
    if len({name.opener for name in names}) != 1:
        raise ValueError("an open file has one opener, and a name at least")
    stashers = dict.fromkeys(_compared(name.stasher) for name in names)
    found = tuple(Alternative(stasher, action) for stasher in stashers for action in DELIVERIES)
    if len(found) > MOST_CLASSES:
        most = MOST_CLASSES // len(DELIVERIES)
        raise TooManyClasses(f"{len(stashers)} people stashed this file, where {most} may")
    return found


def joined(tables: Tables, names: Sequence[EntryFacts]) -> list[Joined]:
    """What these tables say of each alternative, in their order.

    The tables must assume nothing of openers, since the kernel knows them.
    """
    by_stasher: dict[Person, list[EntryClass]] = {}
    found = []
    for stasher, action in alternatives(names):
        if stasher not in by_stasher:
            by_stasher[stasher] = [classify(tables, replace(name, stasher=stasher)) for name in names]
        own = [action is not Action.TAKE or _compared(name.stasher) == stasher for name in names]
        found.append(_join(tables, tables.actions[action], zip(by_stasher[stasher], own, strict=True)))
    return found


def _compared(stasher: Person) -> Person:
    """What of a stasher there are conditions on."""
    return Person(uid=stasher.uid, userns=stasher.userns)


def _join(tables: Tables, judged: Vector, names: Iterable[tuple[EntryClass, bool]]) -> Joined:
    """The terms of all names; those that are not their alternative's `own` can forbid only."""
    main = unless = 0
    stasher, opener = [0, 0], [0, 0]
    for name, is_own in names:
        terms = name.main.terms & judged & _left_by_open_capabilities(tables.main, name.opener)
        if not is_own:
            terms &= tables.forbid
        blocked = terms & tables.has_unless & name.unless.terms
        blocked &= _left_by_open_capabilities(tables.unless, name.opener)
        # A term is kept from matching only if its `unless` holds under each name that it matches under.
        unless = (unless | ~main) & (blocked | ~terms)
        main |= terms
        for space, part in enumerate((name.main, name.unless)):
            stasher[space] |= part.stasher_same
            opener[space] |= part.opener_same
    return Joined(main, unless & main, (stasher[0], stasher[1]), (opener[0], opener[1]))


def _left_by_open_capabilities(space: Space, opener: Person) -> Vector:
    """Where there is no opener yet, nobody is compared with him: what that decides is decided here."""
    return ~(space.opener_no_more & space.lenient) if opener.capabilities is OPEN else ~0
