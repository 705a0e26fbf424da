"""Room: how much of the kernel's tables each user's instances may take, so that nobody fills them for all. Pure."""

from typing import Final, NamedTuple

from fdstorefs.server.shares import Shares

CLASSES_FOR_AN_ENTRY: Final = 2
"""Who stashed an open file alone has it in two: to retrieve and to take."""


class Cost(NamedTuple):
    """What something takes, or gives back."""

    entries: int = 0
    classes: int = 0


class Room:
    """Counts entries, and classes that stay until the last copy of their open file is closed.

    Bounds are in entries.
    """

    def __init__(self, per_payer: int, in_all: int) -> None:
        self._entries = Shares(per_payer, in_all)
        self._classes = Shares(per_payer * CLASSES_FOR_AN_ENTRY, in_all * CLASSES_FOR_AN_ENTRY)

    def fits(self, payer: int, cost: Cost) -> bool:
        """Whether this much more can be had."""
        return (not cost.entries or self._entries.fits(payer, cost.entries)) and (
            not cost.classes or self._classes.fits(payer, cost.classes)
        )

    def take(self, payer: int, cost: Cost) -> None:
        """Count it, whether it fits or not."""
        self._entries.take(payer, cost.entries)
        self._classes.take(payer, cost.classes)

    def give_back(self, payer: int, cost: Cost) -> None:
        """Count it no more."""
        self._entries.take(payer, -cost.entries)
        self._classes.take(payer, -cost.classes)

    def used(self, payer: int) -> Cost:
        """What this user has."""
        return Cost(self._entries.of(payer), self._classes.of(payer))
