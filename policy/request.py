"""Requests: what a verdict is about. Every value is known, UNKNOWN, or, where nothing is there yet, OPEN."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from fdstorefs.policy.vocabulary import Action, Relation


class Unsettled(Enum):
    """What stands in place of a value.

    UNKNOWN: there is one, and it cannot be told. No allow rule that asks for it matches, every forbid rule
    that asks for it does. OPEN: there is none yet (an empty entry has no kind), so nothing can be lent: every
    allow rule that asks for it matches and no forbid rule does.
    """

    UNKNOWN = "unknown"
    OPEN = "open"


UNKNOWN: Final = Unsettled.UNKNOWN
OPEN: Final = Unsettled.OPEN
Unknown: TypeAlias = Literal[Unsettled.UNKNOWN]
Open: TypeAlias = Literal[Unsettled.OPEN]


Userns: TypeAlias = tuple[int, ...]
"""A user namespace: its number, then that of each namespace above it as far as the instance can see."""


class Subject(Protocol):
    """The process that asks. The server looks each value up when it is first asked for, so ask late."""

    @property
    def uid(self) -> int | Unknown:
        """Its uid in the instance's user namespace."""

    @property
    def gids(self) -> frozenset[int] | Unknown:
        """Its gid and supplementary groups, there."""

    @property
    def capabilities(self) -> int | Unknown:
        """Its effective capabilities over the instance's user namespace, as a mask."""

    @property
    def userns(self) -> Userns | Unknown:
        """Its user namespace."""

    @property
    def cgroup(self) -> str | Unknown:
        """The path of its cgroup, with a leading slash."""


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """A subject of which everything is settled beforehand."""

    uid: int | Unknown = UNKNOWN
    gids: frozenset[int] | Unknown = UNKNOWN
    capabilities: int | Unknown = UNKNOWN
    userns: Userns | Unknown = UNKNOWN
    cgroup: str | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class Person:
    """Who stashed or who opened: as it was then."""

    uid: int | Unknown | Open = UNKNOWN
    capabilities: int | Unknown | Open = UNKNOWN
    userns: Userns | Unknown | Open = UNKNOWN


NOBODY_KNOWN: Final = Person()


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """An entry or box under one of its names. `label` None: it has none. `path` has no leading slash.

    Of an empty entry `kind` is `empty`, and filesystem, access, the opener and `guarded` are OPEN. `guarded`: the
    kernel enforces the policy on the open file wherever it goes; without kernel enforcement that is known to be
    False, and whoever makes these facts has to say so.
    """

    path: str
    kind: str | Unknown = UNKNOWN
    filesystem: str | Unknown | Open = UNKNOWN
    access: str | Unknown | Open = UNKNOWN
    label: str | None = None
    stasher: Person = NOBODY_KNOWN
    opener: Person = NOBODY_KNOWN
    guarded: bool | Unknown | Open = UNKNOWN


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may `subject` do `action` with `entry`, in an instance of this user namespace?

    `also` are the other names of the same open file: for `retrieve` and `take` a rule matches if it matches
    under any of them.
    """

    action: Action
    entry: EntryFacts
    subject: Subject
    instance: Userns = (0,)
    also: tuple[EntryFacts, ...] = ()


def relation(
    theirs: Userns | Unknown | Open, to: Userns | Unknown, viewer: Userns
) -> Relation | Unknown | Open:
    """How the namespace `theirs` stands to the namespace `to`, as seen from the instance's, `viewer`.

    The instance sees every namespace below its own and none above. So nothing is hidden between two chains
    that end in the same namespace, nor below the instance's own; elsewhere `not below` would be a guess.
    """
    if theirs is OPEN:
        return OPEN
    if theirs is UNKNOWN or to is UNKNOWN:
        return UNKNOWN
    if theirs[0] == to[0]:
        return Relation.SAME
    if to[0] in theirs:
        return Relation.BELOW
    return Relation.OTHER if theirs[-1] == to[-1] or to[0] == viewer[0] else UNKNOWN
