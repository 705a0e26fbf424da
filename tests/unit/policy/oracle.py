"""A second reading of docs/policy/semantics.md: rule by rule, value by value, with nothing computed beforehand.

It shares nothing with the evaluator but the model, the requests and the words, so that where the two agree they
agree about the text. It is slow, and meant to be read beside the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import (
    NOBODY_KNOWN,
    OPEN,
    UNKNOWN,
    EntryFacts,
    Open,
    Person,
    Request,
    Subject,
    Unknown,
    Userns,
)
from fdstorefs.policy.vocabulary import Action, Effect, Mode, OpenerUnknown, Relation
from tests.unit.policy.oracle_glob import could_fit_below, fits


@dataclass(frozen=True, slots=True)
class OracleVerdict:
    """`allowed` is the verdict in force, `decided` that over all rules, `rules` are the ids that decide the latter."""

    allowed: bool
    decided: bool
    rules: frozenset[str]


class Truth(IntEnum):
    """What a condition is. In this order *and* is the least, *or* the greatest."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


FALSE, UNSURE, TRUE = Truth.FALSE, Truth.UNKNOWN, Truth.TRUE


@dataclass(frozen=True, slots=True)
class Scene:
    """What conditions are judged on, and what one on an open value is here."""

    entry: EntryFacts
    opener: Person
    subject: Subject
    instance: Userns
    open_is: Truth


def verdict(policies: Sequence[Policy], request: Request) -> OracleVerdict:
    """The verdict on a request under all these policies together.

    Policies that all only monitor refuse nothing; where there is no policy at all, nothing allows anything.
    """
    decided, rules = _judge(policies, request)
    enforcing = [policy for policy in policies if policy.mode is Mode.ENFORCE]
    allowed = _judge(enforcing, request)[0] if enforcing else bool(policies)
    return OracleVerdict(allowed, decided, rules)


def _judge(policies: Sequence[Policy], request: Request) -> tuple[bool, frozenset[str]]:
    forbidding = _matching(policies, request, Effect.FORBID)
    if forbidding:
        return False, forbidding
    allowing = _matching(policies, request, Effect.ALLOW)
    return bool(allowing), allowing


def _matching(policies: Sequence[Policy], request: Request, effect: Effect) -> frozenset[str]:
    return frozenset(
        rule.id
        for policy in policies
        for rule in policy.rules
        if rule.effect is effect and _matches(policy, rule, request)
    )


def _matches(policy: Policy, rule: Rule, request: Request) -> bool:
    enough = TRUE if rule.effect is Effect.ALLOW else UNSURE
    return any(
        _term(policy, rule, term, request, name) >= enough
        for term in _terms(rule)
        for name in _names(request, rule.effect)
    )


def _terms(rule: Rule) -> tuple[SubjectConditions, ...]:
    return rule.when.subjects or (SubjectConditions(),)


def _names(request: Request, effect: Effect) -> tuple[EntryFacts, ...]:
    """Those names of the file one of which a rule must match under."""
    takes_other_names = request.action is Action.TAKE and effect is Effect.FORBID
    if request.action is Action.RETRIEVE or takes_other_names:
        return (request.entry, *request.also)
    return (request.entry,)


def _term(policy: Policy, rule: Rule, term: SubjectConditions, request: Request, entry: EntryFacts) -> Truth:
    allows = rule.effect is Effect.ALLOW
    opener = _opener(policy, entry)
    when = Scene(entry, opener, request.subject, request.instance, TRUE if allows else FALSE)
    unless = replace(when, open_is=FALSE if allows else TRUE)
    if allows and request.action is Action.LIST and entry.kind == "box":
        return _leads_to_entries(rule, term, when, unless)
    return _all_of(_keys(rule, term, request.action, when, unless))


def _opener(policy: Policy, entry: EntryFacts) -> Person:
    if entry.opener == NOBODY_KNOWN and policy.opener_unknown is OpenerUnknown.ASSUME_STASHER:
        return entry.stasher
    return entry.opener


def _keys(rule: Rule, term: SubjectConditions, action: Action, when: Scene, unless: Scene) -> Iterator[Truth]:
    yield _known(_names_action(rule, action))
    yield from _on_all_but_subject(rule.when, when)
    yield from _on_subject(term, when)
    if rule.unless is not None:
        yield _not(_all_of(_of_unless(rule.unless, unless)))


def _of_unless(conditions: Conditions, scene: Scene) -> Iterator[Truth]:
    yield from _on_all_but_subject(conditions, scene)
    for only in conditions.subjects:
        yield from _on_subject(only, scene)


def _names_action(rule: Rule, action: Action) -> bool:
    if action in rule.actions:
        return True
    allows_more = rule.effect is Effect.ALLOW and action is Action.LIST
    return allows_more and bool(rule.actions - {Action.STASH, Action.SERVE})


def _leads_to_entries(rule: Rule, term: SubjectConditions, when: Scene, unless: Scene) -> Truth:
    """What an allow rule is where the request is to list a box."""
    if not rule.actions - {Action.SERVE}:
        return FALSE
    box = when.entry.path
    if rule.when.entries is not None and not any(
        fits(glob, box) or could_fit_below(glob, box) for glob in rule.when.entries
    ):
        return FALSE
    truths = list(_on_subject(term, when))
    if rule.unless is not None:
        truths.append(_not(_as_far_as_about_the_subject(rule.unless, unless)))
    return _all_of(truths)


def _as_far_as_about_the_subject(conditions: Conditions, scene: Scene) -> Truth:
    if replace(conditions, subjects=()) != Conditions():
        return FALSE
    return _all_of(truth for only in conditions.subjects for truth in _on_subject(only, scene))


def _on_all_but_subject(conditions: Conditions, scene: Scene) -> Iterator[Truth]:
    yield from _on_entry(conditions, scene)
    yield from _on_stasher(conditions, scene)
    yield from _on_opener(conditions, scene)


def _on_entry(conditions: Conditions, scene: Scene) -> Iterator[Truth]:
    entry = scene.entry
    if conditions.entries is not None:
        yield _known(any(fits(glob, entry.path) for glob in conditions.entries))
    if conditions.kinds is not None:
        is_listed = entry.kind in conditions.kinds
        yield _listed(
            OPEN if entry.kind == "empty" and not is_listed else entry.kind, conditions.kinds, scene
        )
    if conditions.filesystems is not None:
        yield _listed(entry.filesystem, conditions.filesystems, scene)
    if conditions.access is not None:
        yield _listed(entry.access, conditions.access, scene)
    if conditions.guarded is not None:
        yield _guarded(entry.guarded, conditions.guarded, scene)
    if conditions.labels is not None:
        yield _known(entry.label is not None and entry.label in conditions.labels)


def _on_stasher(conditions: Conditions, scene: Scene) -> Iterator[Truth]:
    stasher = scene.entry.stasher
    if conditions.stasher_uid is not None:
        yield _uid(stasher.uid, conditions.stasher_uid, scene)
    if conditions.stasher_userns is not None:
        yield _userns(stasher.userns, conditions.stasher_userns, scene)


def _on_opener(conditions: Conditions, scene: Scene) -> Iterator[Truth]:
    opener = scene.opener
    if conditions.opener_uid is not None:
        yield _uid(opener.uid, conditions.opener_uid, scene)
    if conditions.opener_userns is not None:
        yield _userns(opener.userns, conditions.opener_userns, scene)
    if conditions.opener_capabilities is not None:
        yield _contains(opener.capabilities, conditions.opener_capabilities, scene)
    if conditions.opener_no_more:
        yield _no_more(opener.capabilities, scene)


def _on_subject(conditions: SubjectConditions, scene: Scene) -> Iterator[Truth]:
    subject = scene.subject
    if conditions.uid is not None:
        yield _one_of(subject.uid, conditions.uid)
    if conditions.gid is not None:
        yield _group(subject.gids, conditions.gid)
    if conditions.cgroups is not None:
        yield _cgroup(subject.cgroup, conditions.cgroups)
    if conditions.capabilities is not None:
        yield _contains(subject.capabilities, conditions.capabilities, scene)
    if conditions.userns is not None:
        found = stands_to(subject.userns, scene.instance, scene.instance)
        yield _listed(found, conditions.userns, scene)


def _listed(value: object, words: "frozenset[str] | frozenset[Relation]", scene: Scene) -> Truth:
    if value is OPEN:
        return scene.open_is
    return UNSURE if value is UNKNOWN else _known(value in words)


def _guarded(guarded: bool | Unknown | Open, wanted: bool, scene: Scene) -> Truth:
    if guarded is OPEN:
        return scene.open_is
    return UNSURE if guarded is UNKNOWN else _known(guarded == wanted)


def _uid(uid: int | Unknown | Open, ids: Ids, scene: Scene) -> Truth:
    """A stasher's or an opener's uid: `same` is the subject's."""
    if uid is OPEN:
        return scene.open_is
    truth = _one_of(uid, ids)
    if not ids.same or uid is UNKNOWN:
        return truth
    theirs = scene.subject.uid
    return max(truth, UNSURE if theirs is UNKNOWN else _known(uid == theirs))


def _one_of(value: int | Unknown, ids: Ids) -> Truth:
    if value is UNKNOWN:
        return UNSURE
    if value in ids.known:
        return TRUE
    return UNSURE if ids.undetermined else FALSE


def _group(gids: frozenset[int] | Unknown, ids: Ids) -> Truth:
    if gids is UNKNOWN:
        return UNSURE
    return max(_one_of(gid, ids) for gid in gids)


def _cgroup(cgroup: str | Unknown, globs: Iterable[str]) -> Truth:
    if cgroup is UNKNOWN:
        return UNSURE
    return _known(any(_cgroup_fits(glob, above) for glob in globs for above in _itself_and_above(cgroup)))


def _itself_and_above(cgroup: str) -> Iterator[str]:
    yield cgroup
    while cgroup != "/":
        cgroup = cgroup[: cgroup.rindex("/")] or "/"
        yield cgroup


def _cgroup_fits(glob: str, cgroup: str) -> bool:
    # No name is empty, so what a glob over names fits is never the root.
    if "/" in {glob, cgroup}:
        return glob == cgroup
    return fits(glob.removeprefix("/"), cgroup.removeprefix("/"))


def _contains(theirs: int | Unknown | Open, wanted: int, scene: Scene) -> Truth:
    if theirs is OPEN:
        return scene.open_is
    return UNSURE if theirs is UNKNOWN else _known(theirs & wanted == wanted)


def _no_more(openers: int | Unknown | Open, scene: Scene) -> Truth:
    if openers is OPEN:
        return scene.open_is
    if openers == 0:
        return TRUE
    subjects = scene.subject.capabilities
    if openers is UNKNOWN or subjects is UNKNOWN:
        return UNSURE
    return _known(openers & ~subjects == 0)


def _userns(theirs: Userns | Unknown | Open, wanted: frozenset[Relation], scene: Scene) -> Truth:
    return _listed(stands_to(theirs, scene.subject.userns, scene.instance), wanted, scene)


def stands_to(
    theirs: Userns | Unknown | Open, to: Userns | Unknown, instance: Userns
) -> Relation | Unknown | Open:
    """How a user namespace stands to another; unknown where the instance doesn't see enough to tell."""
    if theirs is OPEN:
        return OPEN
    if theirs is UNKNOWN or to is UNKNOWN:
        return UNKNOWN
    (own, *above), target = theirs, to[0]
    if own == target:
        return Relation.SAME
    if target in above:
        return Relation.BELOW
    sees_all_below_target = target == instance[0]
    if sees_all_below_target or theirs[-1] == to[-1]:
        return Relation.OTHER
    return UNKNOWN


def _known(condition: bool) -> Truth:
    return TRUE if condition else FALSE


def _not(truth: Truth) -> Truth:
    return Truth(TRUE - truth)


def _all_of(truths: Iterable[Truth]) -> Truth:
    least = TRUE
    for truth in truths:
        if truth is FALSE:
            return FALSE
        least = min(least, truth)
    return least
