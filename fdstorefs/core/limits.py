"""Limits: how many entries there may be, in all, for each user and in each box, and names of each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fdstorefs.core.node import Box
from fdstorefs.errors import QuotaExceeded

MOST_NAMES = 64
"""Names of one open file, in all entries that hold it, or of one empty entry. Each costs something at each look."""

_HINT = "discard some, or ask whoever runs the instance for a higher limit (`fdstorefs status` shows it)"


@dataclass(slots=True, frozen=True)
class Limits:
    """`entries` counts entries and boxes; None: no limit of ours (the descriptor limit still holds).

    `entries_per_box` counts names: whatever stands in a box, but not what is in the boxes there.
    """

    entries: int | None = None
    entries_per_uid: int | None = None
    entries_per_box: int | None = None


class Usage:
    """Counts nodes against the limits. A node counts for its owner, once, however many names it has."""

    __slots__ = ("_by_uid", "_promised", "_promised_total", "limits", "total")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.total = 0
        self._by_uid: Counter[int] = Counter()
        self._promised: Counter[int] = Counter()
        self._promised_total = 0

    def of(self, uid: int) -> int:
        """How many nodes this user owns."""
        return self._by_uid[uid]

    def check(self, uid: int, more: int = 1) -> None:
        """Raise QuotaExceeded if `more` nodes of this user would be too many."""
        self._check_total(more)
        self.check_uid(uid, more)

    def _check_total(self, more: int) -> None:
        entries = self.limits.entries
        if entries is not None and self.total + self._promised_total + more > entries:
            room = "the store is full" if more == 1 else f"the store has no room for {more} more entries"
            raise QuotaExceeded(f"{room}: it may hold {entries}", hint=_HINT)

    def check_uid(self, uid: int, more: int = 1) -> None:
        """As `check`, for the user's own limit only."""
        per_uid, has = self.limits.entries_per_uid, self._by_uid[uid] + self._promised[uid]
        if per_uid is not None and has + more > per_uid:
            raise QuotaExceeded(f"uid {uid} has {has} of {per_uid} entries", hint=_HINT)

    def check_box(self, box: Box, more: int) -> None:
        """Raise QuotaExceeded if `more` names would be too many for a box."""
        per_box = self.limits.entries_per_box
        if per_box is not None and len(box.children) + more > per_box:
            room = "is full" if more == 1 else f"has no room for {more} more entries"
            raise QuotaExceeded(f"the box `{box.path or '/'}` {room}: it may hold {per_box}", hint=_HINT)

    def check_all(self, more: Mapping[int, int]) -> None:
        """As `check`, for nodes of several users at once: so many more of each, or fewer."""
        total = sum(more.values())
        if total > 0:
            self._check_total(total)
        for uid, count in more.items():
            if count > 0:
                self.check_uid(uid, count)

    def promise(self, more: Mapping[int, int], times: int = 1) -> None:
        """Count what is to come as if it were there, or with `times` -1 no more."""
        for uid, count in more.items():
            self._promised[uid] += times * max(count, 0)
            self._promised_total += times * max(count, 0)
            if not self._promised[uid]:
                del self._promised[uid]

    def add(self, uid: int) -> None:
        """Count a node that came."""
        self.total += 1
        self._by_uid[uid] += 1

    def remove(self, uid: int) -> None:
        """Count a node that went."""
        self.total -= 1
        self._by_uid[uid] -= 1
        if not self._by_uid[uid]:
            del self._by_uid[uid]

    def move(self, giver: int, taker: int) -> None:
        """Count a change of owner."""
        self.remove(giver)
        self.add(taker)
