"""Levels: the conditions of a question in the order in which they are settled, with its terms as bits of masks. Pure.

The term that is wanted is bit 0, those that may cover it come after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

from fdstorefs.policy.dimensions import Atom, Dim, Point, Standing, Term
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.vocabulary import BOX, EMPTY, Action

Mask: TypeAlias = int
"""Terms of a question, by number."""

WANTED: Final[Mask] = 1

Outcome: TypeAlias = tuple[Any, Mask, Mask]
"""A value; the terms that it rules out; the terms whose `unless` it keeps from holding."""

_OF_FILE: Final = frozenset({Dim.ACCESS, Dim.OPENER_UID, Dim.OPENER_CAPABILITIES, Dim.OPENER_USERNS})


@dataclass(slots=True)
class _Asked:
    """A condition with what is enough for it, for each of the terms that ask for it."""

    atom: Atom
    enough: tuple[Truth, ...]
    own: Mask = 0
    unless: Mask = 0


@dataclass(slots=True)
class Level:
    """What is settled by one dimension. `settled`: the terms with nothing but their `unless` left to settle."""

    dim: Dim
    domains: Domains
    asked: list[_Asked] = field(default_factory=list)
    weight: int = 1
    looks_at: set[Dim] = field(default_factory=set)
    needs: dict[Dim, Mask] = field(default_factory=dict)
    is_looked_at: bool = False
    settled: Mask = 0
    _known: dict[Any, list[Outcome]] = field(default_factory=dict)

    def outcomes(self, point: Point) -> list[Outcome]:
        """What the dimension can come to, with what was chosen before it: what leaves least of the covers first.

        A value after which the covers stand no better than after another isn't there, where nothing else depends
        on it.
        """
        key = (self._told(point), *[point[dim] for dim in self.looks_at])
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._found(point)
        return found

    def context(self, alive: Mask, point: Point) -> tuple[Any, ...]:
        """The values chosen that what is still to come depends on."""
        return (self._told(point), *[point[dim] for dim, mask in self.needs.items() if mask & alive])

    def _told(self, point: Point) -> Any:
        """What the values that the dimension can have depend on."""
        if self.dim is Dim.KIND:
            return point[Dim.ACTION] is Action.LIST
        kind = point[Dim.KIND]
        return kind if self.dim is Dim.FILESYSTEM else kind in (EMPTY, BOX)

    def _found(self, point: Point) -> list[Outcome]:
        values = self.domains.values(self.dim, point)
        self.domains.budget.spend(len(values) * self.weight)
        before = point[self.dim]
        made = [each for each in (self._outcome(value, point) for value in values) if not each[1] & WANTED]
        point[self.dim] = before
        made.sort(key=lambda outcome: -outcome[1].bit_count())
        return made if self.is_looked_at else list(self._best(made))

    def _outcome(self, value: Any, point: Point) -> Outcome:
        point[self.dim] = value
        out = saved = 0
        for asked in self.asked:
            if asked.atom.truth(point) not in asked.enough:
                out |= asked.own
                saved |= asked.unless
        return value, out, saved

    def _best(self, made: list[Outcome]) -> Iterator[Outcome]:
        kept: list[tuple[Mask, Mask]] = []
        for outcome in made:
            _, out, saved = outcome
            self.domains.budget.spend(len(kept) // 4)
            if not any(_is_no_better(out, saved, *other) for other in kept):
                kept.append((out, saved))
                yield outcome


def _is_no_better(out: Mask, saved: Mask, other_out: Mask, other_saved: Mask) -> bool:
    """Whether each term that the other lets cover covers here, too, and the wanted one matches there if it does here."""
    helps = saved & WANTED
    return not (out & ~other_out or other_saved & ~other_out & ~saved & ~WANTED or helps & ~other_saved)


def levels_of(terms: Sequence[Term], domains: Domains) -> list[Level]:
    """The levels of a question about these terms; the first is the one that is wanted."""
    domains.budget.spend(len(terms))
    levels = {dim: Level(dim, domains) for dim in domains.dims()}
    settled: dict[int, Mask] = {}
    for number, term in enumerate(terms):
        settled[term.settled] = settled.get(term.settled, 0) | 1 << number
    for level in levels.values():
        level.settled = sum(mask for dim, mask in settled.items() if dim <= level.dim)
    asked: dict[tuple[int, tuple[Truth, ...]], _Asked] = {}
    for number, term in enumerate(terms):
        for atom, enough, is_unless in term.asked():
            key = (id(atom), enough)
            known = asked.get(key)
            if known is None:
                known = asked[key] = _Asked(atom, enough)
                levels[atom.level].asked.append(known)
                levels[atom.level].weight += atom.weight
            if is_unless:
                known.unless |= 1 << number
            else:
                known.own |= 1 << number
    return _linked(levels)


def _linked(levels: dict[Dim, Level]) -> list[Level]:
    """Has each level know which values chosen before it will be looked at."""
    for level in levels.values():
        for asked in level.asked:
            for earlier in asked.atom.dims[:-1]:
                level.looks_at.add(earlier)
                levels[earlier].is_looked_at = True
                for between in levels.values():
                    if earlier < between.dim <= level.dim:
                        between.needs[earlier] = between.needs.get(earlier, 0) | asked.own | asked.unless
    if Dim.KIND in levels:
        levels[Dim.ACTION].is_looked_at = True
        levels[Dim.KIND].is_looked_at |= Dim.FILESYSTEM in levels or bool(_OF_FILE & levels.keys())
    return list(levels.values())


def starting(terms: Sequence[Term]) -> Mask:
    """The terms that match unless a condition of theirs fails."""
    return sum(1 << number for number, term in enumerate(terms) if term.start is Standing.IN)
