"""Budgets: how much work a question may be, counted so that it comes out the same on every machine. Pure."""

import sys
from dataclasses import dataclass


class TooMuch(Exception):
    """The question would take too long to settle."""


@dataclass(slots=True)
class Budget:
    """Steps that may still be taken; by default, any number. A step is about one condition judged by one value."""

    left: int = sys.maxsize

    def spend(self, steps: int) -> None:
        """Take so many. Raises TooMuch when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch
