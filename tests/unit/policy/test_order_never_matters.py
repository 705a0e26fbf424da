"""The order of policies, of rules, and of what a condition lists makes no difference to any verdict."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from fdstorefs.policy.model import Conditions, Policy, Rule, SubjectConditions
from tests.unit.policy.agreement import evaluated
from tests.unit.policy.case import Case
from tests.unit.policy.searching import must_hold, some

Thing = TypeVar("Thing")


def test_policies_and_rules_in_any_order_decide_alike() -> None:
    """Shuffled, the same policies give the same verdict and name the same rules."""
    must_hold(lambda case: _differs(case, _shuffled))


def test_many_rules_in_any_order_decide_alike() -> None:
    """More rules than a machine word has bits, so that shuffling moves them from word to word."""
    for seed in range(6):
        policies, requests = some(seed, 130, 20)
        shuffled = _shuffled(policies)

        assert [evaluated(policies, each) for each in requests] == [
            evaluated(shuffled, each) for each in requests
        ]


def test_lists_in_any_order_mean_the_same() -> None:
    """Globs and sets backwards give the same verdict."""
    must_hold(lambda case: _differs(case, _backwards))


def test_shuffling_moves_rules() -> None:
    """What these tests call shuffled is in another order."""
    policies, _ = some(1, 30, 0)

    assert [policy.rules for policy in policies] != [policy.rules for policy in _shuffled(policies)]


def _differs(case: Case, otherwise: Callable[[Sequence[Policy]], list[Policy]]) -> bool:
    other = otherwise(case.policies)
    return evaluated(case.policies, case.request) != evaluated(other, case.request)


def _shuffled(policies: Sequence[Policy]) -> list[Policy]:
    random = Random(1)

    def shuffle(things: Sequence[Thing]) -> list[Thing]:
        return random.sample(things, len(things))

    return shuffle([replace(policy, rules=tuple(shuffle(policy.rules))) for policy in policies])


def _backwards(policies: Sequence[Policy]) -> list[Policy]:
    return [replace(policy, rules=tuple(map(_rule_backwards, policy.rules))) for policy in policies]


def _rule_backwards(rule: Rule) -> Rule:
    unless = rule.unless and _conditions_backwards(rule.unless)
    return replace(rule, when=_conditions_backwards(rule.when), unless=unless)


def _conditions_backwards(conditions: Conditions) -> Conditions:
    return replace(
        conditions,
        entries=conditions.entries and conditions.entries[::-1],
        subjects=tuple(_subject_backwards(subject) for subject in conditions.subjects[::-1]),
    )


def _subject_backwards(conditions: SubjectConditions) -> SubjectConditions:
    return replace(conditions, cgroups=conditions.cgroups and conditions.cgroups[::-1])
