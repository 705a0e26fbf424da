"""Verdicts: what was decided, and by which rules."""

from collections.abc import Sequence
from enum import StrEnum

MOST_REMEMBERED = 1024
"""Sets of terms whose rules are remembered; they are all forgotten when there are more."""


class Reason(StrEnum):
    """Why a verdict over all rules is what it is."""

    RULE = "rule"
    FORBIDDEN = "forbidden"
    NO_RULE = "no-rule"


class RuleIds:
    """The ids of the rules that terms belong to; remembers what it was asked for."""

    __slots__ = ("_found", "_rule_of")

    def __init__(self, rule_of: Sequence[str]) -> None:
        self._rule_of = rule_of
        self._found: dict[int, tuple[str, ...]] = {}

    def of(self, terms: int) -> tuple[str, ...]:
        """In the order of the policies, each once."""
        found = self._found.get(terms)
        if found is None:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            found = tuple(dict.fromkeys(self._rule_of[term] for term in bits(terms)))
            self._found[terms] = found
        return found


class Verdict:
    """The outcome of one request.

    `allowed` is in force; `decided` is what all rules say, those of policies in monitor mode too. `forbids` and
    `allows` are the terms that matched, as bit vectors.
    """

    __slots__ = ("_ids", "allowed", "allows", "decided", "forbids")

    def __init__(self, *, allowed: bool, decided: bool, forbids: int, allows: int, ids: RuleIds) -> None:
        self.allowed = allowed
        self.decided = decided
        self.forbids = forbids
        self.allows = allows
        self._ids = ids

    @property
    def reason(self) -> Reason:
        """Why `decided` is what it is."""
        if self.decided:
            return Reason.RULE
        return Reason.FORBIDDEN if self.forbids else Reason.NO_RULE

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that decide, in the order of the policies; none for a default deny."""
        return self._ids.of(self.allows if self.decided else self.forbids)

    def __repr__(self) -> str:
        return f"Verdict({'allow' if self.decided else 'deny'}, rules={self.rules}, in force: {self.allowed})"


def bits(vector: int) -> list[int]:
    """The numbers of the bits that are set, from the lowest."""
    found = []
    while vector:
        lowest = vector & -vector
        found.append(lowest.bit_length() - 1)
        vector ^= lowest
    return found
