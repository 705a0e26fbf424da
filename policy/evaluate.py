"""Whether one rule matches a request, condition by condition, straight from the model.

This is the meaning of the language written down plainly (docs/policy/semantics.md): what the compiled tables decide
is tested against it, and what people are told about a verdict comes from here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fdstorefs.policy.glob_below import leads_to
from fdstorefs.policy.model import Conditions, Rule, SubjectConditions
from fdstorefs.policy.request import NOBODY_KNOWN, EntryFacts, Person, Request
from fdstorefs.policy.truth import Key, Scene, Truth, conditions_on_entry, conditions_on_subject
from fdstorefs.policy.vocabulary import BOX, ON_ENTRIES, Action, Effect
from fdstorefs.policy.wording import sentence

UNLESS = "unless."
_ANYBODY = SubjectConditions()
_NEGATED = {
    Truth.TRUE: Truth.FALSE,
    Truth.FALSE: Truth.TRUE,
    Truth.UNKNOWN: Truth.UNKNOWN,
    Truth.OPEN: Truth.OPEN,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule and whether it is true of the request.

    `key` is as in the policy (`subject.uid`), with `unless.` in front for those that take the rule away.
    `settled` is `truth` with what is open taken as it serves the subject.
    """

    key: str
    truth: Truth
    settled: Truth
    wanted: Any
    found: Any
    scene: Scene

    @property
    def is_unless(self) -> bool:
        """Whether it belongs to the rule's `unless`."""
        return self.key.startswith(UNLESS)

    @property
    def text(self) -> str:
        """What was found and what was wanted, for people."""
        return sentence(self.key.removeprefix(UNLESS), self.wanted, self.found, self.truth)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a rule matches, and why.

    A rule is judged under each name and with each set it names; `conditions` are those of the case that matches,
    or else of the one that comes closest. `through_unknown`: it matches only because something is unknown.
    """

    matches: bool
    conditions: tuple[Condition, ...]
    through_unknown: bool
    path: str
    set_name: str | None
    failed: tuple[Condition, ...]
    """Why the rule doesn't match: what isn't met of its own conditions, else all of its `unless`."""


def judge(rule: Rule, request: Request, *, assume_stasher: bool = False) -> Judgement:
    """Judge one rule. `assume_stasher`: where the opener is unknown, the stasher stands in for it."""
    cases = [
        _judge_case(rule, request.action, _scene(request, entry, assume_stasher=assume_stasher), subject)
        for entry in _names(rule, request)
        for subject in rule.when.subjects or (_ANYBODY,)
    ]
    return min(cases, key=_distance)


def _names(rule: Rule, request: Request) -> tuple[EntryFacts, ...]:
    """The names under which a rule counts. A take needs to be allowed under the name that goes away."""
    shared = request.action is Action.RETRIEVE or (
        request.action is Action.TAKE and rule.effect is Effect.FORBID
    )
    return (request.entry, *request.also) if shared else (request.entry,)


def _scene(request: Request, entry: EntryFacts, *, assume_stasher: bool) -> Scene:
    opener = assumed(entry.opener, entry.stasher) if assume_stasher else entry.opener
    return Scene(entry, request.subject, request.instance, opener)


def assumed(opener: Person, stasher: Person) -> Person:
    """The opener, with the stasher's values for those that are unknown."""
    return stasher if opener == NOBODY_KNOWN else opener


def _distance(judgement: Judgement) -> tuple[bool, bool, int]:
    """How far from a match, and from one that is certain."""
    return not judgement.matches, judgement.through_unknown, len(judgement.failed)


def _judge_case(rule: Rule, action: Action, scene: Scene, subject: SubjectConditions) -> Judgement:
    conditions = tuple(_case(rule, action, scene, subject))
    own = _all(condition.settled for condition in conditions if not condition.is_unless)
    taken_away = Truth.FALSE
    if _has_unless(rule, action, scene):
        taken_away = _all(condition.settled for condition in conditions if condition.is_unless)
    whole = _all((own, _NEGATED[taken_away]))
    matches = whole is Truth.TRUE or (rule.effect is Effect.FORBID and whole is Truth.UNKNOWN)
    through_unknown = matches and whole is Truth.UNKNOWN
    failed = () if matches else _failed(rule, conditions)
    return Judgement(matches, conditions, through_unknown, scene.entry.path, subject.set_name, failed)


def _all(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    if Truth.FALSE in found:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.TRUE


def _failed(rule: Rule, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    enough = {Truth.TRUE} if rule.effect is Effect.ALLOW else {Truth.TRUE, Truth.UNKNOWN}
    own = tuple(each for each in conditions if not each.is_unless and each.settled not in enough)
    return own or tuple(condition for condition in conditions if condition.is_unless)


def _leads_on(rule: Rule, action: Action, scene: Scene) -> bool:
    """Whether the rule is judged by who may reach what is in a box."""
    return rule.effect is Effect.ALLOW and action is Action.LIST and scene.entry.kind == BOX


def _has_unless(rule: Rule, action: Action, scene: Scene) -> bool:
    if rule.unless is None:
        return False
    return not _leads_on(rule, action, scene) or rule.unless == Conditions(subjects=rule.unless.subjects)


def _case(rule: Rule, action: Action, scene: Scene, subject: SubjectConditions) -> Iterator[Condition]:
    if _leads_on(rule, action, scene):
        yield from _way_to(rule, action, scene)
    else:
        yield _action(scene, action, rule.covers)
        yield from _judged(conditions_on_entry(rule.when), scene, rule.effect)
    yield from _judged(conditions_on_subject(subject), scene, rule.effect)
    if rule.unless is not None and _has_unless(rule, action, scene):
        yield from _judged(conditions_on_entry(rule.unless), scene, rule.effect, prefix=UNLESS)
        exempt = rule.unless.subjects[0] if rule.unless.subjects else _ANYBODY
        yield from _judged(conditions_on_subject(exempt), scene, rule.effect, prefix=UNLESS)


def _action(scene: Scene, action: Action, actions: frozenset[Action]) -> Condition:
    truth = Truth.TRUE if action in actions else Truth.FALSE
    return Condition("actions", truth, truth, actions, action, scene)


def _way_to(rule: Rule, action: Action, scene: Scene) -> Iterator[Condition]:
    """To see a box, one of the actions on entries and a glob for it or for something below it will do."""
    yield _action(scene, action, ON_ENTRIES if rule.actions & ON_ENTRIES else rule.actions)
    if rule.when.entries is not None:
        box = scene.entry.path
        leads = any(leads_to(glob, box) for glob in rule.when.entries)
        truth = Truth.TRUE if leads else Truth.FALSE
        yield Condition("entries", truth, truth, rule.when.entries, box, scene)


def _judged(
    asked: Iterator[tuple[Key, Any]], scene: Scene, effect: Effect, prefix: str = ""
) -> Iterator[Condition]:
    # What is open serves the subject: it helps an allow rule match, and a forbid rule's `unless` hold.
    open_is = Truth.TRUE if (effect is Effect.ALLOW) is not bool(prefix) else Truth.FALSE
    for key, wanted in asked:
        truth = key.truth(wanted, scene)
        settled = open_is if truth is Truth.OPEN else truth
        yield Condition(prefix + key.name, truth, settled, wanted, key.found(scene), scene)
