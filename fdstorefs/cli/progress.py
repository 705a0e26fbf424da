"""A line that counts while something takes long."""

import sys
import time
from types import TracebackType
from typing import Self

_PATIENCE_SECONDS = 1.0
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Call it with a count, often; after a second it shows on stderr, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begin = time.monotonic()
        self._is_watched = sys.stderr.isatty()
        self._is_shown = False

    def __call__(self, count: int) -> None:
        """So many by now."""
        if self._is_watched and time.monotonic() - self._begin > _PATIENCE_SECONDS:
            self._is_shown = True
            print(f"{_CLEAR_LINE}{count} {self._what}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)
