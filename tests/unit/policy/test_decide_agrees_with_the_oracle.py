"""The evaluator and the oracle give the same verdicts, for the same rules, on more than 100,000 cases."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.policy.model import Conditions, Policy, Rule, SubjectConditions
from fdstorefs.policy.vocabulary import MAX_TERMS, Action, Effect
from tests.unit.policy.agreement import differ, must_agree
from tests.unit.policy.case import Case, is_default
from tests.unit.policy.generated import Generator, generators
from tests.unit.policy.generated_requests import Requests
from tests.unit.policy.oracle import OracleVerdict, verdict
from tests.unit.policy.searching import cases, some


@dataclass(frozen=True)
class Lot:
    """So many policies with so many rules, each asked so many requests; without `sets` one term a rule."""

    rules: int
    policies: int
    requests: int
    sets: bool = True

    def __str__(self) -> str:
        return f"{self.rules}-rules" if self.sets else f"{self.rules}-terms"


LOTS = [
    Lot(rules=0, policies=10, requests=50),
    Lot(rules=1, policies=800, requests=40),
    Lot(rules=2, policies=400, requests=40),
    Lot(rules=3, policies=300, requests=50),
    Lot(rules=5, policies=200, requests=60),
    Lot(rules=10, policies=150, requests=80),
    Lot(rules=20, policies=60, requests=150),
    *[Lot(rules=n, policies=12, requests=100, sets=sets) for n in (63, 64, 65) for sets in (True, False)],
    *[Lot(rules=n, policies=6, requests=100, sets=False) for n in (127, 128, 129)],
    Lot(rules=MAX_TERMS, policies=4, requests=100, sets=False),
]


@pytest.mark.slow
@pytest.mark.parametrize("lot", LOTS, ids=str)
def test_both_give_the_same_verdict_for_the_same_rules(lot: Lot) -> None:
    """For policies of many sizes, those about the size of a machine word too."""
    asked = 0

    for seed in range(lot.policies):
        policies, requests = some(seed, lot.rules, lot.requests, sets=lot.sets)
        asked += len(must_agree(policies, requests))

    assert lot.policies * lot.requests == asked


def test_there_are_enough_cases() -> None:
    """All lots together are at least 100,000 cases."""
    assert sum(lot.policies * lot.requests for lot in LOTS) >= 100_000


@settings(max_examples=150)
@given(generators(), st.integers(0, 5))
def test_both_agree_wherever_it_is_looked(generator: Generator, rules: int) -> None:
    """Hypothesis, that learns from what it finds, finds no case either where they differ."""
    policies = generator.policies(rules)
    ask = Requests(generator, policies)
    requests = [ask.request() for _ in range(3)]

    must_agree(policies, requests)
    assert not any(differ(Case(policies, request)) for request in requests)


def test_what_is_forgotten_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluator that remembers next to nothing decides as one that remembers all."""
    monkeypatch.setattr("fdstorefs.policy.decide.MOST_REMEMBERED", 2)
    for seed in range(30):
        policies, requests = some(seed, 10, 50)

        assert 50 == len(must_agree(policies, requests))


def test_chance_reaches_every_outcome() -> None:
    """Cases are allowed, forbidden and denied by default, each often; so both ways to be wrong would show."""
    outcomes = Counter(_outcome(verdict(case.policies, case.request)) for case in cases(4000))

    assert {"allow", "forbid", "default"} == {name for name, times in outcomes.items() if times > 400}


def _outcome(found: OracleVerdict) -> str:
    if found.decided:
        return "allow"
    return "forbid" if found.rules else "default"


def test_every_condition_decides_somewhere() -> None:
    """Each condition there is, in `when` and in `unless`, is part of an allow and a forbid rule that decide."""
    every = {
        (effect, place, field.name)
        for effect in Effect
        for place in ("when", "unless")
        for field in (*fields(Conditions), *fields(SubjectConditions))
        if field.name != "set_name"
    }

    assert every - {(effect, "unless", "entries") for effect in Effect} == _conditions_that_decide()


def _conditions_that_decide() -> set[tuple[Effect, str, str]]:
    return {
        (rule.effect, place, name)
        for case in cases(8000)
        for rule in _deciding(case.policies, verdict(case.policies, case.request).rules)
        for place, conditions in (("when", rule.when), ("unless", rule.unless))
        if conditions is not None
        for name in _given(conditions)
    }


def _deciding(policies: Sequence[Policy], ids: frozenset[str]) -> list[Rule]:
    return [rule for policy in policies for rule in policy.rules if rule.id in ids]


def _given(conditions: Conditions) -> Iterator[str]:
    parts: list[Conditions | SubjectConditions] = [conditions, *conditions.subjects]
    for part in parts:
        yield from (field.name for field in fields(part) if not is_default(part, field))


def test_every_action_is_allowed_and_forbidden_somewhere() -> None:
    """No action has the same verdict in all cases."""
    seen = {(case.request.action, verdict(case.policies, case.request).decided) for case in cases(4000)}

    assert {(action, outcome) for action in Action for outcome in (True, False)} == seen
