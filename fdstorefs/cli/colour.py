"""Colours of kinds and verdicts, where a terminal shows them."""

import os
from typing import TextIO

_RESET = "\x1b[0m"
_BY_KIND = {
    "box": "\x1b[1;34m",
    "socket": "\x1b[1;35m",
    "pipe": "\x1b[33m",
    "device": "\x1b[1;33m",
    "directory": "\x1b[34m",
    "memfd": "\x1b[36m",
    "namespace": "\x1b[32m",
    "empty": "\x1b[2m",
}
_BY_VERDICT = {"allow": "\x1b[32m", "deny": "\x1b[1;31m"}
_NOTABLE = "\x1b[33m"


def wants_colour(stream: TextIO) -> bool:
    """Whether to print colours there: on a terminal that has them, unless $NO_COLOR says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, kind: str) -> str:
    """The text in the colour of its kind."""
    colour = _BY_KIND.get(kind)
    return f"{colour}{text}{_RESET}" if colour else text


def verdict_coloured(text: str, verdict: str) -> str:
    """The text in the colour of `allow` or `deny`; of anything else, in that of what stands out."""
    return f"{_BY_VERDICT.get(verdict, _NOTABLE)}{text}{_RESET}"
