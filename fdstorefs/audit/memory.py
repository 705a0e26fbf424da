"""What an audit log must remember to go on where it ended, if the server is killed and another takes its place."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

RECORD, DECISION, SETTLED = 0, 1, 2
"""Places of numbers: the latest that a record has, that of the latest decision, and the record up to which every
target has got all that it will get."""

KEY_BYTES = 16
_FACT = "audit"


class Numbers(Protocol):
    """Numbers by their place; to change one must be quick."""

    def __getitem__(self, place: int, /) -> int:
        """The number there."""

    def __setitem__(self, place: int, number: int, /) -> None:
        """Remember another."""


@dataclass(frozen=True, slots=True)
class Memory:
    """`run` is part of every record, and `key` of what ids of decisions are made from. `goes_on`: there was a server
    before this one in the same run.
    """

    run: str
    key: bytes
    numbers: Numbers
    goes_on: bool = False

    @classmethod
    def new(cls, numbers: Numbers | None = None) -> Self:
        """That of a new run. `numbers` are all 0; None: they end with this process."""
        return cls(os.urandom(8).hex(), os.urandom(KEY_BYTES), [0, 0, 0] if numbers is None else numbers)

    @classmethod
    def again(cls, facts: Mapping[str, Any], numbers: Numbers) -> Self:
        """That of the run that these facts are from; of a new one, if there is nothing about it."""
        if _FACT not in facts:
            return cls.new(numbers)
        fact = facts[_FACT]
        return cls(fact["run"], bytes.fromhex(fact["key"]), numbers, goes_on=True)

    @property
    def facts(self) -> dict[str, Any]:
        """What `again` needs, beside the numbers."""
        return {_FACT: {"run": self.run, "key": self.key.hex()}}

    def decisions(self) -> Iterator[int]:
        """Numbers for decisions, from the next on."""
        while True:
            number = self.numbers[DECISION] + 1
            self.numbers[DECISION] = number
            yield number
