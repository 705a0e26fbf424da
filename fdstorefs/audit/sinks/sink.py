"""What every sink is."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Taken(NamedTuple):
    """How far a write came: the first `lines` lines are where they should be; `error` is what ended it early.

    With all lines taken, an error says that they may not have come to rest (fsync failed).
    """

    lines: int
    error: OSError | None = None


class Sink(Protocol):
    """Takes lines. Its methods may block: they are called in a thread, one at a time. Only `open` raises OSError."""

    def open(self) -> None:
        """Make sure before the first line that there will be somewhere to write to. Raises OSError."""

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Write as many lines as will go, in order, each whole or not at all as far as readers are concerned."""

    def sync(self) -> OSError | None:
        """See to it that what was written survives a crash of the machine, as far as the sink can."""

    def close(self) -> None:
        """Let go of it. It may be written to again, which opens it anew."""
