"""Whether a glob could fit something below a box. Pure.

A path below the box `b` is `b/` and more. Where `b` ends, the glob is either at one of its slashes, or within a
`**`, which takes the rest of `b/` in. What is left of a glob always fits something.
"""

import re
from functools import lru_cache

from fdstorefs.policy.glob import compile_glob, compiled


def could_fit_below(pattern: str, box: str) -> bool:
    """True if there is a path below the box (which has no leading slash) that the glob fits."""
    at_slash, within = _beginnings(pattern)
    inside = f"{box}/"
    return any(begin.fullmatch(box) for begin in at_slash) or any(begin.fullmatch(inside) for begin in within)


def leads_to(pattern: str, box: str) -> bool:
    """True if the glob fits the box itself or something below it."""
    return compiled(pattern).fullmatch(box) is not None or could_fit_below(pattern, box)


@lru_cache(maxsize=4096)
def _beginnings(pattern: str) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    """The beginnings of a glob that end before a slash, and those that end with a `**`."""
    at_slash, within = [], []
    at = 0
    while at < len(pattern):
        if pattern[at] == "[":
            at = pattern.index("]", at + 2 + pattern.startswith("!", at + 1)) + 1
            continue
        if pattern[at] == "/":
            at_slash.append(compile_glob(pattern[:at]))
        elif pattern.startswith("**", at):
            within.append(compile_glob(pattern[: at + 2]))
            at += 1
        at += 1
    return tuple(at_slash), tuple(within)
