"""Merging: classes of requests that differ in one dimension become one. Pure."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from fdstorefs.policy.changes import Class
from fdstorefs.policy.dimensions import Dim, Point
from fdstorefs.policy.domains import Domains

Marks: TypeAlias = dict[Dim, frozenset[Any]]
"""What marks a class off: the dimensions that can't be just anything, and what they can be."""

Merged: TypeAlias = tuple[bool, Marks, Point]
"""Whether it becomes allowed, what marks it off, and a point in it."""


def merged(classes: Iterable[Class], domains: Domains) -> list[Merged]:
    """The same requests in fewer classes."""
    found = [(allowed, *_marked(parts, domains)) for allowed, parts in classes]
    size = 0
    while size != len(found):
        size = len(found)
        for dim in Dim:
            found = _along(dim, found)
    return found


def _marked(parts: tuple[tuple[Dim, frozenset[Any]], ...], domains: Domains) -> tuple[Marks, Point]:
    point, marks = domains.start(), {}
    for dim, values in parts:
        every = domains.values(dim, point)
        point[dim] = next(value for value in every if value in values)
        if values != frozenset(every):
            marks[dim] = values
    return marks, point


def _along(dim: Dim, classes: list[Merged]) -> list[Merged]:
    """One class of all that differ in this dimension only."""
    groups: dict[object, Merged] = {}
    for allowed, marks, point in classes:
        rest = frozenset((other, values) for other, values in marks.items() if other is not dim)
        known = groups.setdefault((allowed, rest, dim in marks), (allowed, marks, point))
        if dim in marks:
            groups[allowed, rest, True] = (allowed, {**known[1], dim: known[1][dim] | marks[dim]}, known[2])
    return list(groups.values())
