"""An index of globs: which of them fit a path, without trying them all.

Most globs of a policy begin with a plain component, and a path can only fit those that begin with its own.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from fdstorefs.policy.glob import compile_glob
from fdstorefs.policy.tables import Globs, Vector

_SPECIAL = re.compile(r"[*?\[]")
_GENERATIONS = 8
"""Tables whose indexes are kept: each has two lists of globs over names."""

Tried = list[tuple[re.Pattern[str], Vector]]


class Index:
    """The globs of one condition: those that are plain names, by first component, and all others."""

    __slots__ = ("_anywhere", "_below", "_names")

    def __init__(self, patterns: Iterable[tuple[str, Vector]]) -> None:
        self._names: dict[str, Vector] = {}
        self._below: dict[str, Tried] = {}
        self._anywhere: Tried = []
        for pattern, vector in patterns:
            self._add(pattern, vector)

    def _add(self, pattern: str, vector: Vector) -> None:
        first, slash, _ = pattern.partition("/")
        if not _SPECIAL.search(pattern):
            self._names[pattern] = vector
        elif slash and not _SPECIAL.search(first):
            self._below.setdefault(first, []).append((compile_glob(pattern), vector))
        else:
            self._anywhere.append((compile_glob(pattern), vector))

    def fitting(self, path: str) -> Vector:
        """The terms that list a glob which fits the path."""
        terms = self._names.get(path, 0)
        for tried in (self._below.get(path.partition("/")[0], ()), self._anywhere):
            for expression, vector in tried:
                if vector & ~terms and expression.fullmatch(path):
                    terms |= vector
        return terms


def globs_fitting(globs: Globs, path: str) -> Vector:
    """The terms that list a glob which fits the path; the index of each list is made once."""
    return index_of(globs).fitting(path)


@lru_cache(maxsize=2 * _GENERATIONS)
def index_of(globs: Globs) -> Index:
    """The index of a list of globs. To make it takes longest, so make it where nobody waits."""
    return Index(globs.patterns)
