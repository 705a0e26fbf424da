"""How values and ratios of values are spread. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the quartiles and the most of some values."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value; quartiles are interpolated (the inclusive method)."""
    if not values:
        raise ValueError("no values: their spread is not defined")
    ordered = sorted(values)
    if len(ordered) == 1:
        return Spread(*[ordered[0]] * 5)
    lower, median, upper = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(ordered[0], lower, median, upper, ordered[-1])


def ratios(values: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Each value over the peer's of the same round. What slows a round down slows both, and cancels out."""
    if len(values) != len(peer):
        raise ValueError(f"{len(values)} rounds cannot be compared with {len(peer)}")
    return [value / other for value, other in zip(values, peer, strict=True)]
