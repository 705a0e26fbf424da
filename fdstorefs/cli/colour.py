"""Colours of kinds, where a terminal shows them."""

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


def wants_colour(stream: TextIO) -> bool:
    """Whether to print colours there: on a terminal that has them, unless $NO_COLOR says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, kind: str) -> str:
    """The text in the colour of its kind."""
    colour = _BY_KIND.get(kind)
    return f"{colour}{text}{_RESET}" if colour else text
