"""From policies to tables: rules are taken apart into terms, and each condition's terms are gathered by value."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.tables import Globs, Listed, Needs, Space, Tables, Vector
from fdstorefs.policy.verdict import bits
from fdstorefs.policy.vocabulary import (
    EMPTY,
    MAX_TERMS,
    ON_ENTRIES,
    Action,
    Effect,
    Mode,
    OpenerUnknown,
)

ANYBODY = SubjectConditions()


@dataclass(frozen=True, slots=True)
class Term:
    """A rule with one of the sets it names. `unless` and `unless_subject` are None together."""

    rule: Rule
    policy: Policy
    subject: SubjectConditions
    unless: Conditions | None
    unless_subject: SubjectConditions

    @property
    def is_allow(self) -> bool:
        """Whether it allows."""
        return self.rule.effect is Effect.ALLOW


Sides = Sequence[tuple[Conditions, SubjectConditions] | None]
"""One space's conditions of each term; None where a term has none there."""


class TooManyTerms(ValueError):
    """More terms than the tables can hold; `load` reports it earlier, with the place."""


def compile_policies(policies: Sequence[Policy], *, generation: int = 0) -> Tables:
    """The tables of some policies that are in force together. Raises TooManyTerms."""
    terms = [term for policy in policies for rule in policy.rules for term in terms_of(policy, rule)]
    if len(terms) > MAX_TERMS:
        raise TooManyTerms(f"{len(terms)} terms; at most {MAX_TERMS} can be in force together")
    allow = _where(terms, lambda term: term.is_allow)
    forbid = _where(terms, lambda term: not term.is_allow)
    return Tables(
        rule_of=tuple(term.rule.id for term in terms),
        allow=allow,
        forbid=forbid,
        enforced=_where(terms, lambda term: term.policy.mode is Mode.ENFORCE),
        # Only where all that there is merely watches is nothing refused.
        enforcing=not policies or any(policy.mode is Mode.ENFORCE for policy in policies),
        assume=_where(terms, lambda term: term.policy.opener_unknown is OpenerUnknown.ASSUME_STASHER),
        reach=_where(terms, lambda term: term.is_allow and bool(term.rule.actions & ON_ENTRIES)),
        has_unless=_where(terms, lambda term: term.unless is not None),
        about_subject=_where(terms, lambda term: term.unless is not None and _only_subject(term.unless)),
        actions=tuple(_where(terms, lambda term, a=action: a in term.rule.covers) for action in Action),
        main=_space([(term.rule.when, term.subject) for term in terms], lenient=forbid),
        unless=_space(
            [None if term.unless is None else (term.unless, term.unless_subject) for term in terms],
            lenient=allow,
        ),
        log_always=frozenset(term.rule.id for term in terms if term.rule.log is True),
        log_denials=frozenset(term.rule.id for term in terms if term.rule.log is False),
        generation=generation,
    )


def terms_of(policy: Policy, rule: Rule) -> Iterator[Term]:
    """The terms of a rule, one for each alternative in what it says of the subject."""
    unless = rule.unless
    unless_subject = unless.subjects[0] if unless is not None and unless.subjects else ANYBODY
    for subject in rule.when.subjects or (ANYBODY,):
        yield Term(rule, policy, subject, unless, unless_subject)


def _only_subject(conditions: Conditions) -> bool:
    return conditions == Conditions(subjects=conditions.subjects)


def _where(terms: Sequence[Term], holds: Callable[..., bool]) -> Vector:
    vector = 0
    for number, term in enumerate(terms):
        if holds(term):
            vector |= 1 << number
    return vector


def _space(sides: Sides, *, lenient: Vector) -> Space:
    def objects(get: Callable[[Conditions], Any]) -> list[Any]:
        return [None if side is None else get(side[0]) for side in sides]

    def subjects(get: Callable[[SubjectConditions], Any]) -> list[Any]:
        return [None if side is None else get(side[1]) for side in sides]

    stashers = objects(lambda c: c.stasher_uid)
    openers = objects(lambda c: c.opener_uid)
    return Space(
        lenient=lenient,
        names=_globs(objects(lambda c: c.entries)),
        kinds=_kinds(objects(lambda c: c.kinds), lenient),
        filesystems=_listed(objects(lambda c: c.filesystems)),
        access=_listed(objects(lambda c: c.access)),
        guarded=_listed(objects(lambda c: None if c.guarded is None else frozenset({c.guarded}))),
        labels=_listed(objects(lambda c: c.labels)),
        stasher_uid=_ids(stashers, lenient),
        stasher_same=_same(stashers),
        stasher_userns=_listed(objects(lambda c: c.stasher_userns)),
        opener_uid=_ids(openers, lenient),
        opener_same=_same(openers),
        opener_capabilities=_needs(objects(lambda c: c.opener_capabilities)),
        opener_no_more=_vector_of(objects(lambda c: c.opener_no_more or None)),
        opener_userns=_listed(objects(lambda c: c.opener_userns)),
        uid=_ids(subjects(lambda s: s.uid), lenient),
        gid=_ids(subjects(lambda s: s.gid), lenient),
        cgroups=_globs(subjects(lambda s: s.cgroups)),
        capabilities=_needs(subjects(lambda s: s.capabilities)),
        userns=_listed(subjects(lambda s: s.userns)),
    )


def _vector_of(conditions: Iterable[Any]) -> Vector:
    """The terms that have the condition."""
    vector = 0
    for number, condition in enumerate(conditions):
        if condition is not None:
            vector |= 1 << number
    return vector


def _gather(conditions: Sequence[Iterable[Any] | None]) -> dict[Any, Vector]:
    known: dict[Any, Vector] = {}
    for number, values in enumerate(conditions):
        for value in values or ():
            known[value] = known.get(value, 0) | 1 << number
    return dict(sorted(known.items()))


def _listed(conditions: Sequence[frozenset[Any] | None]) -> Listed:
    return Listed(_vector_of(conditions), _gather(conditions))


def _kinds(conditions: Sequence[frozenset[str] | None], lenient: Vector) -> Listed:
    """As any list, but that the kind of an empty entry is open to what does not list it."""
    listed = _listed(conditions)
    open_to = listed.asks & ~lenient
    return Listed(listed.asks, {**listed.known, EMPTY: listed.known.get(EMPTY, 0) | open_to})


def _ids(conditions: Sequence[Ids | None], lenient: Vector) -> Listed:
    listed = _gather([None if ids is None else ids.known for ids in conditions])
    undetermined = _vector_of(ids if ids is not None and ids.undetermined else None for ids in conditions)
    other = undetermined & lenient
    return Listed(_vector_of(conditions), {value: vector | other for value, vector in listed.items()}, other)


def _same(conditions: Sequence[Ids | None]) -> Vector:
    return _vector_of(ids if ids is not None and ids.same else None for ids in conditions)


def _globs(conditions: Sequence[tuple[str, ...] | None]) -> Globs:
    return Globs(_vector_of(conditions), tuple(_gather(conditions).items()))


def _needs(conditions: Sequence[int | None]) -> Needs:
    return Needs(
        _vector_of(conditions), _gather([None if mask is None else bits(mask) for mask in conditions])
    )
