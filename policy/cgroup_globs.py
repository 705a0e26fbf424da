"""Globs over cgroups: which terms have one that fits a cgroup or one above it. Pure."""

from collections.abc import Iterator

from fdstorefs.policy.glob import compiled
from fdstorefs.policy.request import UNKNOWN, Unknown
from fdstorefs.policy.tables import Globs, Vector


def cgroup_globs_met(globs: Globs, cgroup: str | Unknown, lenient: Vector) -> Vector:
    """The terms that the cgroup does not rule out."""
    if cgroup is UNKNOWN:
        return ~globs.asks | lenient
    terms = ~globs.asks
    for pattern, vector in globs.patterns:
        if vector & ~terms and fits(pattern, cgroup):
            terms |= vector
    return terms


def fits(pattern: str, cgroup: str) -> bool:
    """Whether the glob fits the cgroup or one above it."""
    if pattern == "/":
        return True
    expression = compiled(pattern.removeprefix("/"))
    return any(expression.fullmatch(path) for path in _with_those_above(cgroup))


def _with_those_above(cgroup: str) -> Iterator[str]:
    path = cgroup.strip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
