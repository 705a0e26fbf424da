"""A logarithmic axis. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class LogScale:
    """Maps `low` ... `high` (both over 0) to `start` ... `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value is; those beyond the axis are at its end."""
        inside = min(max(value, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers on the axis: 1, 2, 5, 10 and so on; only powers of ten where that is too many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = _STEPS if len(decades) <= 4 else (1,)
        marks = [step * 10.0**decade for decade in decades for step in steps]
        return [mark for mark in marks if self.low <= mark <= self.high * (1 + 1e-9)]


def bounds(values: Iterable[float]) -> tuple[float, float]:
    """Round numbers just outside of the values, which must be over 0 and at least one."""
    known = list(values)
    return _round_down(min(known)), _round_up(max(known) * (1 + 1e-9))


def _round_down(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return decade * max(step for step in _STEPS if step * decade <= value * (1 + 1e-9))


def _round_up(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return decade * min((step for step in (*_STEPS, 10) if step * decade > value), default=10)
