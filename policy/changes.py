"""Changes: all classes of requests on which two sets of terms come to different verdicts. Pure.

The same walk as in `coverage`, but to every end. What is found is put together on the way back: values of a dimension
after which the same differs become one class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from fdstorefs.policy.budget import TooMuch
from fdstorefs.policy.dimensions import Dim, Point, Standing, Term
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.vocabulary import BOX, EMPTY

MOST_STEPS: Final = 60_000
MOST_CLASSES: Final = 500

Class: TypeAlias = tuple[bool, tuple[tuple[Dim, frozenset[Any]], ...]]
"""Whether it becomes allowed, and for each dimension the values that it has there, in any combination."""

_Row: TypeAlias = tuple[tuple[int, Standing], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: whether a term counts is told by number. `refuses` False: nothing is ever denied."""

    counts: frozenset[int]
    refuses: bool

    def allows(self, terms: Sequence[Term], matching: Sequence[int]) -> bool:
        """The verdict when these terms match."""
        if not self.refuses:
            return True
        effects = {terms[number].is_allow for number in matching if number in self.counts}
        return effects == {True}


@dataclass(slots=True)
class Changes:
    """Looks for all requests that `old` and `new` treat differently."""

    terms: Sequence[Term]
    old: Side
    new: Side
    domains: Domains
    steps: int = MOST_STEPS
    _dims: list[Dim] = field(default_factory=list)
    _known: dict[tuple[Any, ...], tuple[Class, ...]] = field(default_factory=dict)
    _forbidding: frozenset[int] = frozenset()

    def classes(self) -> tuple[Class, ...]:
        """All of them, none overlapping another. Raises TooMuch, TooManyClasses."""
        self._dims = self.domains.dims()
        shared = self.old.counts & self.new.counts if self.old.refuses and self.new.refuses else ()
        self._forbidding = frozenset(number for number in shared if not self.terms[number].is_allow)
        row = tuple((number, term.start) for number, term in enumerate(self.terms))
        return self._from(0, row, self.domains.start())

    def _from(self, level: int, row: _Row, point: Point) -> tuple[Class, ...]:
        if level == len(self._dims):
            return self._end(row)
        if self._is_settled(row):
            return ()
        key = (level, row, self._context(level, row, point))
        found = self._known.get(key)
        if found is None:
            self.steps -= 1
            if self.steps < 0:
                raise TooMuch
            found = self._known[key] = self._gather(level, row, point)
        return found

    def _is_settled(self, row: _Row) -> bool:
        """Whether the same terms are left on both sides, so that nothing can differ any more."""
        if self.old.refuses is not self.new.refuses:
            return False
        return all((number in self.old.counts) is (number in self.new.counts) for number, _ in row)

    def _end(self, row: _Row) -> tuple[Class, ...]:
        matching = [number for number, standing in row if standing is Standing.IN]
        before, after = (side.allows(self.terms, matching) for side in (self.old, self.new))
        return () if before is after else ((after, ()),)

    def _gather(self, level: int, row: _Row, point: Point) -> tuple[Class, ...]:
        dim = self._dims[level]
        before = point[dim]
        gathered: dict[Class, set[Any]] = {}
        for value in self.domains.values(dim, point):
            point[dim] = value
            following = self._advance(row, dim, point)
            if following is None:
                continue
            for rest in self._from(level + 1, following, point):
                gathered.setdefault(rest, set()).add(value)
        point[dim] = before
        if len(gathered) > MOST_CLASSES:
            raise TooMuch
        return tuple(
            (allowed, ((dim, frozenset(values)), *rest)) for (allowed, rest), values in gathered.items()
        )

    def _advance(self, row: _Row, dim: Dim, point: Point) -> _Row | None:
        """How the terms stand now; None: whatever follows, both sides deny."""
        following = []
        for number, standing in row:
            term = self.terms[number]
            now = term.advance(standing, dim, point)
            if now is Standing.IN and term.settled <= dim and number in self._forbidding:
                return None
            if now is not Standing.OUT:
                following.append((number, now))
        return tuple(following)

    def _context(self, level: int, row: _Row, point: Point) -> tuple[Any, ...]:
        """The values chosen that conditions still to come will look at, or other values depend on."""
        dim = self._dims[level]
        kept: set[Dim] = set()
        for number, _ in row:
            kept |= _earlier(self.terms[number], dim)
        kind = point[Dim.KIND]
        told = kind if dim is Dim.FILESYSTEM else kind in (EMPTY, BOX)
        is_list = point[Dim.ACTION] if dim is Dim.KIND else None
        return (told, is_list, *(point[each] for each in sorted(kept)))


def _earlier(term: Term, dim: Dim) -> frozenset[Dim]:
    """The dimensions before this one whose values the term's conditions from here on need."""
    known = term.needs.get(dim)
    if known is None:
        known = term.needs[dim] = frozenset(
            each for atom in term.atoms() if atom.level >= dim for each in atom.dims if each < dim
        )
    return known
