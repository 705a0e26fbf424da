"""Overlap: which rules could match a request together, told quickly. Pure.

For each of a few dimensions the rules are kept by value. What is left out for a rule shares no request with it in which
everything is known; what is left in may or may not.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Final, TypeAlias

from fdstorefs.policy.kind_filesystems import ONLY_ON
from fdstorefs.policy.model import Rule
from fdstorefs.policy.vocabulary import BOX, EMPTY, KINDS, Action, Effect

Rules: TypeAlias = int
"""Rules as a mask, by number."""

MOST_COMPARED: Final = 64
"""How much of a glob's beginning counts: every beginning of that is kept."""

NO_FILE: Final = "(none)"
_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True)
class _Listed:
    """Rules by the values they list; `any` are those that don't."""

    any: Rules = 0
    by_value: dict[object, Rules] = field(default_factory=dict)

    def add(self, number: int, values: Iterable[object] | None) -> None:
        if values is None:
            self.any |= 1 << number
            return
        for value in values:
            self.by_value[value] = self.by_value.get(value, 0) | 1 << number

    def near(self, values: Iterable[object] | None) -> Rules:
        if values is None:
            return ~0
        found = self.any
        for value in values:
            found |= self.by_value.get(value, 0)
        return found


@dataclass(slots=True)
class _Prefixed:
    """Rules by how their globs begin: two globs fit a name in common only if one beginning begins the other."""

    any: Rules = 0
    exact: dict[str, Rules] = field(default_factory=dict)
    longer: dict[str, Rules] = field(default_factory=dict)

    def add(self, number: int, globs: Iterable[str] | None) -> None:
        if globs is None:
            self.any |= 1 << number
            return
        for prefix in set(map(_prefix, globs)):
            self.exact[prefix] = self.exact.get(prefix, 0) | 1 << number
            for end in range(len(prefix) + 1):
                self.longer[prefix[:end]] = self.longer.get(prefix[:end], 0) | 1 << number

    def near(self, globs: Iterable[str] | None) -> Rules:
        if globs is None:
            return ~0
        found = self.any
        for prefix in set(map(_prefix, globs)):
            found |= self.longer.get(prefix, 0)
            for end in range(len(prefix)):
                found |= self.exact.get(prefix[:end], 0)
        return found

    def near_above(self, globs: Iterable[str] | None) -> Rules:
        """Those whose globs fit something below a box that is above one of these: any whose names begin alike."""
        if globs is None:
            return ~0
        heads = {_prefix(glob).partition("/")[0] for glob in globs}
        return self.any | reduce(or_, (self.near([head]) for head in heads), 0)


def _prefix(glob: str) -> str:
    wild = _WILD.search(glob, 0, MOST_COMPARED)
    return glob[:MOST_COMPARED] if wild is None else glob[: wild.start()]


class Overlap:
    """Rules, indexed."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._actions, self._kinds, self._uids = _Listed(), _Listed(), _Listed()
        self._entries, self._cgroups = _Prefixed(), _Prefixed()
        self._filesystems = _Listed()
        for number, rule in enumerate(rules):
            self._actions.add(number, rule.covers)
            self._kinds.add(number, _kinds(rule))
            self._uids.add(number, _uids(rule))
            self._filesystems.add(number, filesystems_of(rule))
            self._entries.add(number, rule.when.entries)
            self._cgroups.add(number, _cgroups(rule))

    def near(self, rule: Rule, actions: frozenset[Action]) -> Rules:
        """The rules that could match together with this one, for one of these actions."""
        return (
            self._actions.near(actions)
            & self._entries.near(rule.when.entries)
            & self._uids.near(_uids(rule))
            & self._cgroups.near(_cgroups(rule))
            & self._kinds.near(_kinds(rule))
            & self._filesystems.near(filesystems_of(rule))
        )

    def near_subject(self, rule: Rule) -> Rules:
        """The rules whose subject could be this one's."""
        return self._uids.near(_uids(rule)) & self._cgroups.near(_cgroups(rule))

    def near_in_reach(self, rule: Rule) -> Rules:
        """The rules that could fit a name, or a box above one, that this one fits."""
        return self._entries.near(rule.when.entries) | self._entries.near_above(rule.when.entries)


def _kinds(rule: Rule) -> frozenset[str] | None:
    if rule.when.kinds is None or rule.when.kinds >= frozenset(KINDS):
        return None
    return rule.when.kinds | {EMPTY} if rule.effect is Effect.ALLOW else rule.when.kinds


def filesystems_of(rule: Rule) -> frozenset[str] | None:
    """The file systems of what it matches, with NO_FILE where there is no file; None: any."""
    when = rule.when
    found = when.filesystems
    if found is None:
        kinds = when.kinds or frozenset({""})
        if not kinds <= {*ONLY_ON, EMPTY, BOX}:
            return None
        found = frozenset(name for kind in kinds for name in ONLY_ON.get(kind, (NO_FILE,)))
    return found | {NO_FILE} if rule.effect is Effect.ALLOW else found


def _uids(rule: Rule) -> set[int] | None:
    found: set[int] = set()
    for subject in rule.when.subjects:
        if subject.uid is None or subject.uid.undetermined:
            return None
        found |= subject.uid.known
    return found if rule.when.subjects else None


def _cgroups(rule: Rule) -> set[str] | None:
    found: set[str] = set()
    for subject in rule.when.subjects:
        if subject.cgroups is None:
            return None
        found.update(subject.cgroups)
    return found if rule.when.subjects else None
