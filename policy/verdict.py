"""Verdicts: what was decided, and by which rules."""

from collections.abc import Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why a verdict over all rules is what it is."""

    RULE = "rule"
    FORBIDDEN = "forbidden"
    NO_RULE = "no-rule"


class Verdict:
    """The outcome of one request.

    `allowed` is in force; `decided` is what all rules say, those of policies in monitor mode too. `forbids` and
    `allows` are the terms that matched, as bit vectors.
    """

    __slots__ = ("_rule_of", "allowed", "allows", "decided", "forbids")

    def __init__(
        self, *, allowed: bool, decided: bool, forbids: int, allows: int, rule_of: Sequence[str]
    ) -> None:
        self.allowed = allowed
        self.decided = decided
        self.forbids = forbids
        self.allows = allows
        self._rule_of = rule_of

    @property
    def reason(self) -> Reason:
        """Why `decided` is what it is."""
        if self.decided:
            return Reason.RULE
        return Reason.FORBIDDEN if self.forbids else Reason.NO_RULE

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that decide, in the order of the policies; none for a default deny."""
        deciding = self.allows if self.decided else self.forbids
        return tuple(dict.fromkeys(self._rule_of[term] for term in bits(deciding)))

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
