"""Coverage: whether some terms together cover all that one term matches; if not, a point where they don't. Pure.

Values are chosen one dimension after another. A term that a value rules out is out; one that nothing can rule out
any more covers all that follows. Two partial points at which the same terms stand alike lead to the same, so the
second isn't followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from fdstorefs.policy.dimensions import Dim, Point, Standing, Term
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.vocabulary import BOX, EMPTY

MOST_STEPS: Final = 20_000
"""Most partial points that one question is worth."""

_OUT: Final = Standing.OUT
_IN: Final = Standing.IN
_Row: TypeAlias = tuple[tuple[int, Standing], ...]


class TooMuch(Exception):
    """The question would take too long to settle."""


@dataclass(slots=True)
class Search:
    """Looks for a point that `wanted` matches and none of `covers` does. `used`: the covers it ran into."""

    wanted: Term
    covers: Sequence[Term]
    domains: Domains
    steps: int = MOST_STEPS
    used: set[int] = field(default_factory=set)
    _seen: set[tuple[Any, ...]] = field(default_factory=set)
    _dims: list[Dim] = field(default_factory=list)

    def point(self) -> Point | None:
        """Such a point, or None: there is none. Raises TooMuch, TooManyClasses."""
        self._dims = self.domains.dims()
        row = tuple((number, term.start) for number, term in enumerate(self.covers))
        return self._from(0, self.wanted.start, row, self.domains.start())

    def _from(self, level: int, standing: Standing, row: _Row, point: Point) -> Point | None:
        if level == len(self._dims):
            return None if standing is not _IN or self._covered(row) else list(point)
        key = (level, standing, row, self._context(level, row, point))
        if key in self._seen:
            return None
        self._seen.add(key)
        self.steps -= 1
        if self.steps < 0:
            raise TooMuch
        return self._choose(level, standing, row, point)

    def _covered(self, row: _Row) -> bool:
        return any(standing is _IN for _, standing in row)

    def _choose(self, level: int, standing: Standing, row: _Row, point: Point) -> Point | None:
        dim = self._dims[level]
        before = point[dim]
        for value in self.domains.values(dim, point):
            point[dim] = value
            now = self.wanted.advance(standing, dim, point)
            if now is _OUT:
                continue
            following = self._advance(row, dim, point)
            if following is None:
                continue
            found = self._from(level + 1, now, following, point)
            if found is not None:
                return found
        point[dim] = before
        return None

    def _advance(self, row: _Row, dim: Dim, point: Point) -> _Row | None:
        """How the covers stand now; None: one of them covers all that follows."""
        following = []
        for number, standing in row:
            term = self.covers[number]
            now = term.advance(standing, dim, point)
            if now is _IN and term.settled <= dim:
                self.used.add(number)
                return None
            if now is not _OUT:
                following.append((number, now))
        return tuple(following)

    def _context(self, level: int, row: _Row, point: Point) -> tuple[Any, ...]:
        """The values chosen that conditions still to come will look at."""
        dim = self._dims[level]
        kept = set(earlier(self.wanted, dim))
        for number, _ in row:
            kept |= earlier(self.covers[number], dim)
        kind = point[Dim.KIND]
        told = kind if dim is Dim.FILESYSTEM else kind in (EMPTY, BOX)
        is_list = point[Dim.ACTION] if dim is Dim.KIND else None
        return (told, is_list, *(point[each] for each in sorted(kept)))


def earlier(term: Term, dim: Dim) -> frozenset[Dim]:
    """The dimensions before this one whose values the term's conditions from here on need."""
    known = term.needs.get(dim)
    if known is None:
        known = term.needs[dim] = frozenset(
            each for atom in term.atoms() if atom.level >= dim for each in atom.dims if each < dim
        )
    return known
