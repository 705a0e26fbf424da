"""Did you mean: the known word that is most like one that isn't known."""

import difflib
from collections.abc import Iterable

LONGEST = 64
"""A longer word is like none."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The word that was probably meant, if there is one."""
    if len(word) > LONGEST:
        return None
    folded = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower().replace("_", "-"), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The same as a hint."""
    found = nearest(word, known)
    return None if found is None else f"did you mean `{found}`?"
