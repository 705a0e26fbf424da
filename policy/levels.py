"""Levels: the conditions of a question in the order in which they are settled, with its terms as bits of masks. Pure.

The term that is wanted is bit 0, those that may cover it come after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from fdstorefs.policy.dimensions import Asked, Dim, Point, Standing, Term
from fdstorefs.policy.domains import INEXACT, LIMITED, Domains
from fdstorefs.policy.vocabulary import BOX, EMPTY, Action

Mask: TypeAlias = int
"""Terms of a question, by number."""

WANTED: Final[Mask] = 1

Outcome: TypeAlias = tuple[Any, Mask, Mask]
"""A value; the terms that it rules out; the terms whose `unless` it keeps from holding."""

_OF_FILE: Final = frozenset(
    {Dim.ACCESS, Dim.GUARDED, Dim.OPENER_UID, Dim.OPENER_CAPABILITIES, Dim.OPENER_USERNS}
)


@dataclass(slots=True)
class Level:
    """What is settled by one dimension. `settled`: the terms with nothing but their `unless` left to settle."""

    dim: Dim
    domains: Domains
    asked: list[tuple[Asked, Mask]] = field(default_factory=list)
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
        key: Any = None
        if self.looks_at or self.dim in LIMITED:
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
        before = point[self.dim]
        every = self.domains.values(self.dim, point)
        if self._is_of_wanted_only():
            for_all = (self._wanted([value], point) for value in every)
            values: list[Any] = next(filter(None, for_all), [])
        else:
            values = self._wanted(every, point)
        self.domains.budget.spend(len(values) * self.weight)
        out, saved = [0] * len(values), [0] * len(values)
        for asked, mask in self.asked:
            hit = saved if asked.is_unless else out
            enough = asked.enough
            for at, truth in enumerate(asked.atom.truths(values, point)):
                if truth not in enough:
                    hit[at] |= mask
        point[self.dim] = before
        made = sorted(zip(values, out, saved, strict=True), key=lambda outcome: -outcome[1].bit_count())
        return made if self.is_looked_at else list(self._best(made))

    def _is_of_wanted_only(self) -> bool:
        """Whether one value is as good as any other that the wanted term can have."""
        return not self.is_looked_at and all(
            mask == WANTED and not asked.is_unless for asked, mask in self.asked
        )

    def _wanted(self, values: list[Any], point: Point) -> list[Any]:
        """Those of the values that don't rule the wanted term out."""
        for asked, mask in self.asked:
            if mask & WANTED and not asked.is_unless:
                self.domains.budget.spend(len(values) * asked.atom.weight)
                truths = asked.atom.truths(values, point)
                values = [value for value, truth in zip(values, truths, strict=True) if truth in asked.enough]
        return values

    def be_exact(self) -> None:
        """Forget what was found when its values were few."""
        if self.dim in INEXACT:
            self._known.clear()

    def _best(self, made: list[Outcome]) -> Iterator[Outcome]:
        kept: list[tuple[Mask, Mask]] = []
        for outcome in made:
            _, out, saved = outcome
            self.domains.budget.spend(len(kept) // 4)
            if not any(_is_no_better(out, saved, *other) for other in kept):
                kept.append((out, saved))
                yield outcome


def _is_no_better(out: Mask, saved: Mask, other_out: Mask, other_saved: Mask) -> bool:
    """Whether what covers at the other covers here, too, and the wanted term matches there if it does here."""
    helps = saved & WANTED
    return not (out & ~other_out or other_saved & ~other_out & ~saved & ~WANTED or helps & ~other_saved)


def conditions_of(terms: Sequence[Term]) -> dict[Asked, Mask]:
    """All conditions of some terms, each with the terms that ask for it."""
    found: dict[Asked, Mask] = {}
    for number, term in enumerate(terms):
        bit = 1 << number
        for asked in term.asked():
            found[asked] = found.get(asked, 0) | bit
    return found


def levels_of(terms: Sequence[Term], conditions: Mapping[Asked, Mask], domains: Domains) -> list[Level]:
    """The levels of a question about these terms with their conditions; the first term is the one that is wanted."""
    settled: dict[int, Mask] = {}
    for number, term in enumerate(terms):
        settled[term.settled] = settled.get(term.settled, 0) | 1 << number
    levels = {
        dim: Level(dim, domains, settled=sum(mask for last, mask in settled.items() if last <= dim))
        for dim in domains.dims()
    }
    for asked, mask in conditions.items():
        level = levels[asked.atom.level]
        level.asked.append((asked, mask))
        level.weight += asked.atom.weight
    _link(levels)
    return list(levels.values())


def _link(levels: dict[Dim, Level]) -> None:
    """Has each level know which values chosen before it will be looked at."""
    for level in levels.values():
        for asked, mask in level.asked:
            for earlier in asked.atom.dims[:-1]:
                level.looks_at.add(earlier)
                levels[earlier].is_looked_at = True
                for between in levels.values():
                    if earlier < between.dim <= level.dim:
                        between.needs[earlier] = between.needs.get(earlier, 0) | mask
    if Dim.KIND in levels:
        levels[Dim.ACTION].is_looked_at = True
        levels[Dim.KIND].is_looked_at |= Dim.FILESYSTEM in levels or bool(_OF_FILE & levels.keys())


def starting(terms: Sequence[Term]) -> Mask:
    """The terms that match unless a condition of theirs fails."""
    return sum(1 << number for number, term in enumerate(terms) if term.start is Standing.IN)
