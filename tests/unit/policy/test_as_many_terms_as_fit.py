"""A rule that names several sets counts once for each, and more terms than the tables hold are refused."""

import pytest

from fdstorefs.policy.compile import TooManyTerms, compile_policies
from fdstorefs.policy.model import Conditions, Policy, Rule, SubjectConditions
from fdstorefs.policy.vocabulary import MAX_TERMS, Action, Effect

ONE_SET = Conditions(subjects=(SubjectConditions(),))
TWO_SETS = Conditions(subjects=(SubjectConditions(), SubjectConditions()))


def _policies(rules: int, when: Conditions = ONE_SET) -> list[Policy]:
    """Two policies with so many rules each."""
    return [
        Policy(name, tuple(Rule(f"{name}{n}", Effect.ALLOW, frozenset(Action), when) for n in range(rules)))
        for name in ("a", "b")
    ]


def test_as_many_as_there_may_be() -> None:
    """Of all policies together."""
    assert MAX_TERMS == compile_policies(_policies(MAX_TERMS // 2)).terms


def test_one_more_is_refused() -> None:
    """However small each policy is."""
    with pytest.raises(TooManyTerms):
        compile_policies([*_policies(MAX_TERMS // 2), *_policies(1)[:1]])


def test_each_set_counts() -> None:
    """Half as many rules with two sets each are as many terms."""
    assert MAX_TERMS == compile_policies(_policies(MAX_TERMS // 4, TWO_SETS)).terms
    with pytest.raises(TooManyTerms):
        compile_policies(_policies(MAX_TERMS // 4 + 1, TWO_SETS))
