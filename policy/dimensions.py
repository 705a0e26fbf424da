"""Dimensions: what a request is made of, as far as rules can tell requests apart. Pure.

A *point* has a value in each dimension and stands for a request. A rule with one of its sets is a *term*: conditions,
each about the values of a few dimensions. `truth` says what a condition comes to, so nothing about the meaning of the
language is written down a second time here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import Any, Final, TypeAlias

from fdstorefs.policy.evaluate import assumed
from fdstorefs.policy.glob_below import leads_to
from fdstorefs.policy.kind_filesystems import ONLY_ON, may_be_on
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Person, Request, SubjectFacts, Userns
from fdstorefs.policy.truth import Key, Scene, Truth, conditions_on_entry, conditions_on_subject
from fdstorefs.policy.vocabulary import BOX, EMPTY, ON_ENTRIES, Action, Effect, OpenerUnknown

INSTANCE: Final[Userns] = (1,)


class Dim(IntEnum):
    """The dimensions, in the order in which values are chosen."""

    ACTION = 0
    KIND = 1
    FILESYSTEM = 2
    ACCESS = 3
    GUARDED = 4
    LABEL = 5
    PATH = 6
    UID = 7
    STASHER_UID = 8
    OPENER_UID = 9
    GIDS = 10
    CGROUP = 11
    STASHER_CAPABILITIES = 12
    CAPABILITIES = 13
    OPENER_CAPABILITIES = 14
    USERNS = 15
    STASHER_USERNS = 16
    OPENER_USERNS = 17


Point: TypeAlias = list[Any]
"""A value for each dimension, by number."""

ORDINARY: Final[tuple[Any, ...]] = (
    Action.RETRIEVE,
    "regular",
    "ext4",
    "rw",
    UNKNOWN,
    None,
    "x",
    1000,
    1000,
    1000,
    frozenset[int](),
    "/",
    0,
    0,
    0,
    INSTANCE,
    INSTANCE,
    INSTANCE,
)
"""What a dimension has where no condition asks; whether a file is guarded is not said then."""


def request_of(point: Sequence[Any]) -> Request:
    """The request that a point stands for."""
    kind, filesystem = point[Dim.KIND], point[Dim.FILESYSTEM]
    opener = Person(point[Dim.OPENER_UID], point[Dim.OPENER_CAPABILITIES], point[Dim.OPENER_USERNS])
    holds_nothing = kind in (EMPTY, BOX)
    if isinstance(filesystem, str) and not may_be_on(kind, filesystem):
        filesystem = min(ONLY_ON[kind])  # nobody has asked about it so far
    entry = EntryFacts(
        path=point[Dim.PATH],
        kind=kind,
        filesystem=OPEN if holds_nothing else filesystem,
        access=OPEN if holds_nothing else point[Dim.ACCESS],
        label=point[Dim.LABEL],
        stasher=Person(point[Dim.STASHER_UID], point[Dim.STASHER_CAPABILITIES], point[Dim.STASHER_USERNS]),
        opener=Person(OPEN, OPEN, OPEN) if holds_nothing else opener,
        guarded=OPEN if holds_nothing else point[Dim.GUARDED],
    )
    subject = SubjectFacts(
        point[Dim.UID], point[Dim.GIDS], point[Dim.CAPABILITIES], point[Dim.USERNS], point[Dim.CGROUP]
    )
    return Request(point[Dim.ACTION], entry, subject, INSTANCE)


_SHORT: Final = 64
"""A glob of this length is as quick to judge as any other condition."""


@dataclass(slots=True)
class Atom:
    """One condition. `dims`: the dimensions that it is about. Answers are kept."""

    name: str
    wanted: Any
    dims: tuple[Dim, ...]
    judge: Callable[[Point], Truth]
    _known: dict[Any, Truth] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How many steps it takes to judge it: a list of globs is gone through one by one, and long ones are slow."""
        if self.dims[0] not in (Dim.PATH, Dim.CGROUP):
            return 1
        return sum(1 + (len(glob) // _SHORT) ** 2 for glob in self.wanted)

    @property
    def level(self) -> Dim:
        """The dimension whose value settles it."""
        return self.dims[-1]

    def truth(self, point: Point) -> Truth:
        """What it comes to at a point; values of other dimensions don't count."""
        dims = self.dims
        key = point[dims[0]] if len(dims) == 1 else tuple([point[dim] for dim in dims])
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.judge(point)
        return known

    def truths(self, values: Sequence[Any], point: Point) -> list[Truth]:
        """The same for each of these values of the dimension that settles it. Leaves the point changed."""
        level, known = self.level, self._known
        if len(self.dims) > 1:
            return [self.truth(point) for point[level] in values]
        found = []
        for value in values:
            truth = known.get(value)
            if truth is None:
                point[level] = value
                truth = known[value] = self.judge(point)
            found.append(truth)
        return found


_HELPED: Final = (Truth.TRUE, Truth.OPEN)
_HURT: Final = (Truth.TRUE, Truth.UNKNOWN)
_FAILED: Final = (Truth.FALSE,)


class Standing(IntEnum):
    """What is known of a term while values are chosen: OUT for good, IN unless its `unless` holds, or IN."""

    OUT = 0
    UNLESS = 1
    IN = 2


@dataclass(slots=True, eq=False)
class Asked:
    """A condition, what is enough for it, and whether it belongs to a rule's `unless`. One for all that ask so."""

    atom: Atom
    enough: tuple[Truth, ...]
    is_unless: bool


@dataclass(slots=True)
class Term:
    """A rule with one of its sets; `settled` is the last dimension that its own conditions need."""

    number: int
    rule: Rule
    policy: Policy
    at: list[list[Asked]]
    start: Standing
    settled: int
    needs: dict[int, frozenset[Dim]] = field(default_factory=dict)

    @property
    def is_allow(self) -> bool:
        """Whether it allows."""
        return self.rule.effect is Effect.ALLOW

    def atoms(self) -> Iterator[Atom]:
        """All its conditions."""
        return (asked.atom for asked in self.asked())

    def asked(self) -> Iterator[Asked]:
        """The same, with what they may come to."""
        return chain.from_iterable(self.at)

    def advance(self, standing: Standing, dim: Dim, point: Point) -> Standing:
        """Where it stands once this dimension has its value, too."""
        for asked in self.at[dim]:
            if asked.is_unless:
                if standing is Standing.UNLESS and asked.atom.truth(point) not in asked.enough:
                    standing = Standing.IN
            elif asked.atom.truth(point) not in asked.enough:
                return Standing.OUT
        return standing


class Terms:
    """Makes terms. Conditions that are the same are one atom."""

    def __init__(self) -> None:
        self._atoms: dict[tuple[Any, ...], Atom] = {}
        self._conditions: dict[tuple[int, int, bool], Asked] = {}
        self._count = 0

    def of(self, policy: Policy, rule: Rule) -> list[Term]:
        """The terms of a rule for all requests but those to list a box."""
        return [self._term(policy, rule, subject, rule.covers) for subject in _subjects(rule)]

    def as_written(self, policy: Policy, rule: Rule) -> list[Term]:
        """The same without the `list` that other actions bring along."""
        return [self._term(policy, rule, subject, rule.actions) for subject in _subjects(rule)]

    def for_boxes(self, policy: Policy, rule: Rule) -> list[Term]:
        """The terms of a rule for requests to list a box."""
        if rule.effect is Effect.FORBID:
            return self.of(policy, rule)
        return [self._way(policy, rule, subject) for subject in _subjects(rule)]

    def fail(self, term: Term, when: Conditions) -> None:
        """Have the term match only where each of these conditions is false."""
        for atom in self._asked(conditions_on_entry(when), assume=False):
            term.at[atom.level].append(self._condition(atom, _FAILED))
            term.settled = max(term.settled, atom.level)

    def _term(
        self, policy: Policy, rule: Rule, subject: SubjectConditions, actions: frozenset[Action]
    ) -> Term:
        assume = policy.opener_unknown is OpenerUnknown.ASSUME_STASHER
        own = [self._action(actions), *self._atoms_of(rule.when, subject, assume=assume)]
        unless = None
        if rule.unless is not None:
            unless = self._atoms_of(rule.unless, _only(rule.unless), assume=assume)
        return self._assembled(policy, rule, own, unless)

    def _way(self, policy: Policy, rule: Rule, subject: SubjectConditions) -> Term:
        """Who may reach what is in a box: see docs/policy/semantics.md, Boxes."""
        own = [self._action(ON_ENTRIES if rule.actions & ON_ENTRIES else rule.actions)]
        if rule.when.entries is not None:
            own.append(self._below(rule.when.entries))
        own += self._asked(conditions_on_subject(subject), assume=False)
        unless = None
        if rule.unless is not None and rule.unless == Conditions(subjects=rule.unless.subjects):
            unless = list(self._asked(conditions_on_subject(_only(rule.unless)), assume=False))
        return self._assembled(policy, rule, own, unless)

    def _assembled(self, policy: Policy, rule: Rule, own: list[Atom], unless: list[Atom] | None) -> Term:
        allows = rule.effect is Effect.ALLOW
        at: list[list[Asked]] = [[] for _ in Dim]
        for atom in own:
            at[atom.level].append(self._condition(atom, _HELPED if allows else _HURT))
        for atom in unless or ():
            at[atom.level].append(self._condition(atom, _HURT if allows else _HELPED, is_unless=True))
        self._count += 1
        start = Standing.IN if unless is None else Standing.UNLESS
        return Term(self._count, rule, policy, at, start, max(atom.level for atom in own))

    def _atoms_of(self, when: Conditions, subject: SubjectConditions, *, assume: bool) -> list[Atom]:
        return [
            *self._asked(conditions_on_entry(when), assume=assume),
            *self._asked(conditions_on_subject(subject), assume=assume),
        ]

    def _asked(self, conditions: Iterator[tuple[Key, Any]], *, assume: bool) -> Iterator[Atom]:
        for key, wanted in conditions:
            dims = tuple(sorted(_dims(key.name, wanted, assume=assume)))
            yield self._atom(
                (key.name, wanted, dims),
                lambda: Atom(key.name, wanted, dims, _judge_by(key, wanted, assume=assume)),  # noqa: B023
            )

    def _action(self, actions: frozenset[Action]) -> Atom:
        def judge(point: Point) -> Truth:
            return Truth.TRUE if point[Dim.ACTION] in actions else Truth.FALSE

        return self._atom(("actions", actions), lambda: Atom("actions", actions, (Dim.ACTION,), judge))

    def _below(self, globs: tuple[str, ...]) -> Atom:
        def judge(point: Point) -> Truth:
            box = point[Dim.PATH]
            leads = any(leads_to(glob, box) for glob in globs)
            return Truth.TRUE if leads else Truth.FALSE

        return self._atom(("below", globs), lambda: Atom("entries", globs, (Dim.PATH,), judge))

    def _condition(self, atom: Atom, enough: tuple[Truth, ...], *, is_unless: bool = False) -> Asked:
        key = id(atom), id(enough), is_unless
        known = self._conditions.get(key)
        if known is None:
            known = self._conditions[key] = Asked(atom, enough, is_unless)
        return known

    def _atom(self, key: tuple[Any, ...], make: Callable[[], Atom]) -> Atom:
        known = self._atoms.get(key)
        if known is None:
            known = self._atoms[key] = make()
        return known


def _subjects(rule: Rule) -> tuple[SubjectConditions, ...]:
    return rule.when.subjects or (SubjectConditions(),)


def _only(unless: Conditions) -> SubjectConditions:
    return unless.subjects[0] if unless.subjects else SubjectConditions()


def _judge_by(key: Key, wanted: Any, *, assume: bool) -> Callable[[Point], Truth]:
    def judge(point: Point) -> Truth:
        request = request_of(point)
        entry = request.entry
        opener = assumed(entry.opener, entry.stasher) if assume else entry.opener
        return key.truth(wanted, Scene(entry, request.subject, INSTANCE, opener))

    return judge


_DIMS: Final[dict[str, Dim]] = {
    "entries": Dim.PATH,
    "kinds": Dim.KIND,
    "filesystems": Dim.FILESYSTEM,
    "access": Dim.ACCESS,
    "guarded": Dim.GUARDED,
    "labels": Dim.LABEL,
    "stasher.uid": Dim.STASHER_UID,
    "stasher.userns": Dim.STASHER_USERNS,
    "opener.uid": Dim.OPENER_UID,
    "opener.capabilities": Dim.OPENER_CAPABILITIES,
    "opener.userns": Dim.OPENER_USERNS,
    "subject.uid": Dim.UID,
    "subject.gid": Dim.GIDS,
    "subject.cgroup": Dim.CGROUP,
    "subject.capabilities": Dim.CAPABILITIES,
    "subject.userns": Dim.USERNS,
}
_ASSUMED: Final[dict[str, Dim]] = {
    "opener.uid": Dim.STASHER_UID,
    "opener.capabilities": Dim.STASHER_CAPABILITIES,
    "opener.userns": Dim.STASHER_USERNS,
}


def _dims(name: str, wanted: Any, *, assume: bool) -> Iterator[Dim]:
    yield _DIMS[name]
    if isinstance(wanted, Ids) and wanted.same and name != "subject.uid" and name != "subject.gid":
        yield Dim.UID
    if name == "opener.capabilities" and wanted[1]:
        yield Dim.CAPABILITIES
    if name in ("stasher.userns", "opener.userns"):
        yield Dim.USERNS
    if assume and name in _ASSUMED:
        yield _ASSUMED[name]
