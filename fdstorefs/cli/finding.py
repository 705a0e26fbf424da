"""One thing that `doctor` looked at."""

from typing import NamedTuple

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"


class Finding(NamedTuple):
    """One thing looked at. `what_for` says what can't be done without it, `advice` how to get it."""

    check: str
    state: str
    found: str
    what_for: str
    advice: str | None
