"""Coverage: whether some terms together cover all that one term matches; if not, a point where they don't. Pure.

Values are chosen one dimension after another. A term that a value rules out is out; one that nothing can rule out
any more covers all that follows. Two partial points at which the same terms stand alike lead to the same, so the
second isn't followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.policy.dimensions import Asked, Point, Term
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.levels import WANTED, Level, Mask, levels_of, starting
from fdstorefs.policy.verdict import bits


@dataclass(slots=True)
class Search:
    """Looks for a point that the first of some terms matches and none of the others, the covers, does."""

    terms: Sequence[Term]
    conditions: Mapping[Asked, Mask]
    domains: Domains
    _used: Mask = 0
    _seen: set[tuple[Any, ...]] = field(default_factory=set)
    _levels: list[Level] = field(default_factory=list)

    def point(self) -> Point | None:
        """Such a point, or None: there is none. Raises TooMuch, TooManyClasses."""
        self._levels = levels_of(self.terms, self.conditions, self.domains)
        self.domains.exact = len(self.terms) == 1 or not self.domains.is_quick_to_try
        found = self._first()
        if found is None and not self.domains.exact:
            # Most questions don't get here. A point is a point, whether or not it was chosen from all there are.
            self.domains.be_exact()
            for level in self._levels:
                level.be_exact()
            found = self._first()
        return found

    def _first(self) -> Point | None:
        self._used = 0
        self._seen.clear()
        return self._from(0, (1 << len(self.terms)) - 1, starting(self.terms), self.domains.start())

    def used(self) -> list[int]:
        """The numbers of the covers that it took, once there is no such point."""
        return bits(self._used)

    def _from(self, at: int, alive: Mask, matching: Mask, point: Point) -> Point | None:
        """`alive`: the terms that nothing has ruled out; `matching`: those of them whose `unless` fails."""
        if at == len(self._levels):
            return list(point) if matching & WANTED else None
        level = self._levels[at]
        key = (at, alive, matching, level.context(alive, point))
        if key in self._seen:
            return None
        self._seen.add(key)
        return self._choose(at, level, alive, matching, point)

    def _choose(self, at: int, level: Level, alive: Mask, matching: Mask, point: Point) -> Point | None:
        before = point[level.dim]
        outcomes = level.outcomes(point)
        self.domains.budget.spend(len(outcomes))
        for value, out, saved in outcomes:
            left = alive & ~out
            now = (matching | saved) & left
            if self._is_covered(now & level.settled):
                continue
            point[level.dim] = value
            found = self._from(at + 1, left, now, point)
            if found is not None:
                return found
        point[level.dim] = before
        return None

    def _is_covered(self, covering: Mask) -> bool:
        covering &= ~WANTED
        if covering and not covering & self._used:
            self._used |= covering & -covering
        return bool(covering)
