"""What the check finds by searching: rules that never matter, and rules that lend power. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final

from fdstorefs.policy.budget import Budget, TooMuch
from fdstorefs.policy.coverage import Search
from fdstorefs.policy.dimensions import Dim, Term, Terms
from fdstorefs.policy.domains import Domains, atoms_by_dim
from fdstorefs.policy.glob_classes import Classes, TooManyClasses
from fdstorefs.policy.levels import conditions_of
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule
from fdstorefs.policy.overlap import Overlap, Rules, filesystems_of
from fdstorefs.policy.verdict import bits
from fdstorefs.policy.vocabulary import BOX, EMPTY, KINDS, Action, Effect, Mode

OPENER_COUNTS: Final = frozenset({"cgroup2", "proc", "sysfs", "devtmpfs"})
"""File systems where writing or reading asks for the opener's credentials, not the user's."""

MOST_STEPS: Final = 60_000
"""Most steps that one question is worth."""

ALL_STEPS: Final = 800_000
"""Most steps that all questions together are worth."""

_STEPS_EACH: Final = 20
"""What it takes to have a term or a condition in a question at all."""

_DELIVER: Final = frozenset({Action.RETRIEVE, Action.TAKE})


class Problem(StrEnum):
    """What can be wrong; the value is the diagnostic's code."""

    NEVER_MATCHES = "never-matches"
    CONTRADICTORY = "contradictory"
    UNREACHABLE = "unreachable"
    REDUNDANT = "redundant"
    LENDS_POWER = "lends-power"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that something is wrong with. `others` have to do with it."""

    problem: Problem
    rule: Rule
    others: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule with the policy it is of."""

    number: int
    policy: Policy
    rule: Rule

    @property
    def is_allow(self) -> bool:
        return self.rule.effect is Effect.ALLOW


class Checker:
    """Goes through all rules of some policies. `unsettled` counts the questions that took too long."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        placed = [(policy, rule) for policy in policies for rule in policy.rules]
        self._rules = [_Placed(number, policy, rule) for number, (policy, rule) in enumerate(placed)]
        self._overlap = Overlap([rule for _, rule in placed])
        self._allows: Rules = sum(1 << each.number for each in self._rules if each.is_allow)
        self._alike: dict[tuple[Effect, bool | None], Rules] = {}
        for each in self._rules:
            key = (each.rule.effect, each.rule.log)
            self._alike[key] = self._alike.get(key, 0) | 1 << each.number
        self._terms = Terms()
        self._ordinary = [self._terms.of(policy, rule) for policy, rule in placed]
        self._for_boxes: dict[int, list[Term]] = {}
        self._applies = {id(policy): self._applicable(policy) for policy in policies}
        self._classes = Classes()
        self._no_lending: dict[Rules, bool] = {}
        self._steps = ALL_STEPS
        self.unsettled = 0

    def _applicable(self, policy: Policy) -> Rules:
        """The rules that are in force wherever this policy is, and count for its verdicts."""
        return sum(
            1 << each.number
            for each in self._rules
            if (each.policy.instances is None or each.policy.instances == policy.instances)
            and (each.policy.mode is Mode.ENFORCE or policy.mode is Mode.MONITOR)
        )

    def findings(self) -> Iterator[Finding]:
        """All that is wrong, in the order of the rules."""
        found: dict[int, Finding] = {}
        for placed in self._rules:
            self._settle(found, placed, self._futile)
        useful = [placed for placed in self._rules if placed.number not in found]
        for placed in useful:
            self._settle(found, placed, self._lends)
        removed: Rules = 0
        for placed in reversed(useful):
            if self._settle(found, placed, partial(self._redundant, removed=removed)):
                removed |= 1 << placed.number
        yield from (found[number] for number in sorted(found))

    def _settle(
        self, found: dict[int, Finding], placed: _Placed, question: Callable[[_Placed], Finding | None]
    ) -> bool:
        """Put it among what was found if there is something wrong with it, and tell whether there is."""
        try:
            finding = question(placed)
        except (TooMuch, TooManyClasses):
            self.unsettled += 1
            return False
        if finding is not None:
            found[placed.number] = finding
        return finding is not None

    def _futile(self, placed: _Placed) -> Finding | None:
        """Whether the rule never does what it is written for."""
        rule = placed.rule
        forbids: Rules = 0
        if placed.is_allow:
            forbids = (
                self._overlap.near(rule, rule.actions) & self._applies[id(placed.policy)] & ~self._allows
            )
        if not forbids and _surely_matches(rule):
            return None
        used = self._uncovered_as_written(placed, forbids)
        if used is None:
            return None
        if not forbids or self._uncovered_as_written(placed, 0) is not None:
            return Finding(Problem.NEVER_MATCHES, rule)
        others = [self._rules[number].rule for number in used]
        same = tuple(other for other in others if _is_contrary(rule, other))
        if same:
            return Finding(Problem.CONTRADICTORY, rule, same)
        return Finding(Problem.UNREACHABLE, rule, tuple(others))

    def _uncovered_as_written(self, placed: _Placed, covers: Rules) -> list[int] | None:
        """None if the rule matches something that these don't; else those that it takes to cover all."""
        rule, used = placed.rule, set[int]()
        kinds = [kind for kind in KINDS if _is_for_kind(rule, kind)]
        for term in self._terms.as_written(placed.policy, rule):
            for boxes in (False, True):
                if boxes and (Action.LIST not in rule.actions or BOX not in kinds):
                    continue
                ran_into = self._cover(term, covers, settled_only=True, boxes=boxes, kinds=kinds)
                if ran_into is None:
                    return None
                used |= ran_into
        return sorted(used)

    def _redundant(self, placed: _Placed, removed: Rules) -> Finding | None:
        """Whether no verdict depends on the rule, once those in `removed` are gone."""
        rule = placed.rule
        eligible = self._applies[id(placed.policy)] & ~removed & ~(1 << placed.number)
        likes = self._alike[rule.effect, rule.log] & eligible
        near = self._overlap.near(rule, rule.covers)
        if not likes & near:
            return None
        forbids = eligible & ~self._allows if placed.is_allow else 0
        used = self._covered(placed, likes & near, forbids & near)
        if used is None:
            return None
        for number in bits(likes & sum(1 << each for each in used)) if len(used) > 1 else ():
            if self._covered(placed, 1 << number, 0) is not None:
                return Finding(Problem.REDUNDANT, rule, (self._rules[number].rule,))
        return Finding(Problem.REDUNDANT, rule, tuple(self._rules[number].rule for number in sorted(used)))

    def _covered(self, placed: _Placed, likes: Rules, forbids: Rules) -> set[int] | None:
        """The rules that together match whatever this one does, with what is unknown, too; None: they don't."""
        used: set[int] = set()
        for term in self._ordinary[placed.number]:
            ran_into = self._cover(term, likes | forbids)
            if ran_into is None:
                return None
            used |= ran_into
        for term in self._boxes_of(placed):
            ran_into = self._cover(term, likes | forbids, boxes=True)
            if ran_into is None:
                return None
            used |= ran_into
        return used

    def _lends(self, placed: _Placed) -> Finding | None:
        """Whether it hands out somebody else's file where the opener's power comes with it."""
        rule = placed.rule
        filesystems = OPENER_COUNTS & (filesystems_of(rule) or OPENER_COUNTS)
        actions = rule.actions & _DELIVER
        if not (placed.is_allow and actions and filesystems) or self._is_lending_forbidden(placed.policy):
            return None
        part = replace(rule, actions=actions, when=replace(rule.when, filesystems=filesystems))
        return Finding(Problem.LENDS_POWER, rule) if self._is_lending(placed.policy, part) else None

    def _is_lending_forbidden(self, policy: Policy) -> bool:
        """Whether it is, to everybody and whatever the entry, so that no rule of the policy need be looked at."""
        applies = self._applies[id(policy)]
        if applies not in self._no_lending:
            anything = Rule("", Effect.ALLOW, _DELIVER, Conditions(filesystems=OPENER_COUNTS))
            try:
                self._no_lending[applies] = not self._is_lending(policy, anything)
            except (TooMuch, TooManyClasses):
                self._no_lending[applies] = False
        return self._no_lending[applies]

    def _is_lending(self, policy: Policy, part: Rule) -> bool:
        """Whether an allow rule for these actions and file systems hands out power of others to anybody."""
        forbids = self._overlap.near(part, part.actions) & self._applies[id(policy)] & ~self._allows
        kinds = [kind for kind in KINDS if kind not in (EMPTY, BOX)]
        for term in self._terms.as_written(policy, part):
            self._terms.fail(term, Conditions(stasher_uid=Ids(same=True)))
            self._terms.fail(term, Conditions(opener_no_more=True))
            if self._cover(term, forbids, settled_only=True, kinds=kinds) is None:
                return True
        return False

    def _cover(
        self,
        term: Term,
        covers: Rules,
        *,
        settled_only: bool = False,
        boxes: bool = False,
        kinds: Sequence[str] = KINDS,
    ) -> set[int] | None:
        """The rules that it takes to cover a term; None if these don't. Raises TooMuch, TooManyClasses."""
        budget = Budget(min(MOST_STEPS, self._steps))
        before = budget.left
        try:
            budget.spend(_STEPS_EACH * (1 + covers.bit_count()))
            numbers, others = [-1], [term]
            for number, other in self._terms_of(covers, boxes=boxes):
                numbers.append(number)
                others.append(other)
            conditions = conditions_of(others)
            budget.spend(_STEPS_EACH * len(conditions))
            domains = Domains(
                atoms_by_dim(asked.atom for asked in conditions),
                frozenset() if settled_only else frozenset(Dim),
                boxes=boxes,
                kinds=kinds,
                classes=self._classes,
                budget=budget,
            )
            search = Search(others, conditions, domains)
            if search.point() is not None:
                return None
        finally:
            self._steps -= before - max(budget.left, 0)
        return {numbers[number] for number in search.used()}

    def _terms_of(self, rules: Rules, *, boxes: bool) -> Iterator[tuple[int, Term]]:
        for number in bits(rules):
            placed = self._rules[number]
            made = self._boxes_of(placed) if boxes else self._ordinary[number]
            yield from ((number, term) for term in made)

    def _boxes_of(self, placed: _Placed) -> list[Term]:
        if placed.number not in self._for_boxes:
            self._for_boxes[placed.number] = self._terms.for_boxes(placed.policy, placed.rule)
        return self._for_boxes[placed.number]


def _surely_matches(rule: Rule) -> bool:
    """Whether it is plain that something matches, without a search: no two conditions can get in each other's way."""
    when = rule.when
    lists = (
        when.stasher_uid,
        when.opener_uid,
        *(s.uid for s in when.subjects),
        *(s.gid for s in when.subjects),
    )
    return (
        rule.unless is None
        and (when.kinds is None or when.filesystems is None)
        and all(ids is None or ids.known for ids in lists)
        and all("." not in glob for glob in when.entries or ())
        and not when.asks_opener
        and (when.kinds is None or bool(when.kinds - {EMPTY, BOX}))
    )


def _is_for_kind(rule: Rule, kind: str) -> bool:
    """Whether entries of the kind are what the rule is about, rather than what comes with it."""
    when = rule.when
    asks_file = when.asks_opener or any(
        given is not None for given in (when.filesystems, when.access, when.guarded)
    )
    if kind == EMPTY:
        return not asks_file and (when.kinds is None or EMPTY in when.kinds)
    return kind != BOX or not asks_file or when.kinds is not None


def _is_contrary(rule: Rule, other: Rule) -> bool:
    return rule.when == other.when and rule.unless == other.unless and rule.actions <= other.actions
