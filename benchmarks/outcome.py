"""What a suite has found out: rows of values, one value per contestant and round. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.spread import Spread, ratios, spread


@dataclass(frozen=True, slots=True)
class Target:
    """What was aimed for: the best of the named contestants is at most this, or this much of the peer."""

    at_most: float
    of: Literal["ratio", "value"]
    contestants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: for each contestant one value (in `unit`) a round; `peer` is held against the others."""

    operation: str
    unit: str
    series: Mapping[str, list[float]]
    peer: str | None = None
    target: Target | None = None

    def values(self, contestant: str) -> Spread:
        """The spread of a contestant's own values."""
        return spread(self.series[contestant])

    def ratios(self, contestant: str) -> Spread | None:
        """The spread of the ratios to the peer, round by round; None where there is no peer."""
        if self.peer is None:
            return None
        return spread(ratios(self.series[contestant], self.series[self.peer]))

    def measured(self, contestant: str, of: Literal["ratio", "value"]) -> float:
        """The median that a target speaks of."""
        found = self.ratios(contestant) if of == "ratio" else self.values(contestant)
        if found is None:
            raise ValueError(f"`{self.operation}` has no peer, so there is no ratio")
        return found.median

    def best(self) -> str | None:
        """The best of the contestants that the target names; None without a target."""
        target = self.target
        if target is None:
            return None
        return min(target.contestants, key=lambda name: self.measured(name, target.of))

    def meets_target(self) -> bool | None:
        """Whether the best contestant that the target names meets it; None without a target."""
        best = self.best()
        if self.target is None or best is None:
            return None
        return self.measured(best, self.target.of) <= self.target.at_most


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one suite has to say. `notes` are sentences that belong under its table."""

    name: str
    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Everything measured, and the medians for those who do not want to calculate."""
        return {
            "name": self.name,
            "title": self.title,
            "notes": self.notes,
            "rows": [asdict(row) | {"medians": _medians(row)} for row in self.rows],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Outcome":
        """What `as_json` made."""
        return cls(data["name"], data["title"], [_row(row) for row in data["rows"]], list(data["notes"]))


def _medians(row: Row) -> dict[str, float]:
    return {contestant: row.values(contestant).median for contestant in row.series}


def _row(data: Mapping[str, Any]) -> Row:
    target = data["target"]
    if target is not None:
        target = Target(target["at_most"], target["of"], tuple(target["contestants"]))
    return Row(data["operation"], data["unit"], data["series"], data["peer"], target)
