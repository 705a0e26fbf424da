"""Coverage: whether some terms together cover all that one term matches; if not, a point where they don't. Pure.

Values are chosen one dimension after another. A term that a value rules out is out; one that nothing can rule out
any more covers all that follows. Two partial points at which the same terms stand alike lead to the same, so the
second isn't followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.policy.dimensions import Point, Term
from fdstorefs.policy.domains import Domains
from fdstorefs.policy.levels import WANTED, Level, Mask, levels_of, starting


@dataclass(slots=True)
class Search:
    """Looks for a point that `wanted` matches and none of `covers` does."""

    wanted: Term
    covers: Sequence[Term]
    domains: Domains
    _used: Mask = 0
    _seen: set[tuple[Any, ...]] = field(default_factory=set)
    _levels: list[Level] = field(default_factory=list)

    def point(self) -> Point | None:
        """Such a point, or None: there is none. Raises TooMuch, TooManyClasses."""
        terms = (self.wanted, *self.covers)
        self._levels = levels_of(terms, self.domains)
        return self._from(0, (1 << len(terms)) - 1, starting(terms), self.domains.start())

    def used(self) -> list[int]:
        """The numbers of the covers that it took, once there is no such point."""
        return [number for number in range(len(self.covers)) if self._used >> number + 1 & 1]

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
