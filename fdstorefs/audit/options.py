"""How an instance keeps its audit log, as the command line says it."""

import math
from dataclasses import dataclass

from fdstorefs.audit.target import Target
from fdstorefs.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Fsync:
    """When a file is told to disk: `seconds` after a record at the latest; 0: with every write; None: never."""

    seconds: float | None = None

    def __str__(self) -> str:
        if self.seconds is None:
            return "never"
        return f"interval:{self.seconds:g}" if self.seconds else "always"


def parse_fsync(word: str) -> Fsync:
    """`never`, `always` or `interval:SECONDS`. Raises InvalidArgument."""
    if word == "never":
        return Fsync(None)
    if word == "always":
        return Fsync(0)
    kind, _, number = word.partition(":")
    if kind == "interval":
        return Fsync(_seconds(number))
    raise InvalidArgument(
        f"`{word}` is not a policy for fsync", hint="`never`, `always` or `interval:SECONDS`"
    )


def _seconds(number: str) -> float:
    try:
        seconds = float(number)
    except ValueError:
        seconds = 0
    if not math.isfinite(seconds) or seconds <= 0:
        raise InvalidArgument(f"`{number}` is not a time in seconds above 0", hint="write `interval:1`")
    return seconds


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where records go, and when a file is told to disk. Without a target there is no log."""

    targets: tuple[Target, ...] = ()
    fsync: Fsync = Fsync(1)
