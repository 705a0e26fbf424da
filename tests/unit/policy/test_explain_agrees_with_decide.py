"""What an explanation says is what the tables decide, and each rule by itself is judged as the tables do it."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.explain import Status, explain
from tests.unit.policy.generated import Generator
from tests.unit.policy.generated_requests import Requests


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300)
def test_an_explanation_gives_the_verdict_of_the_tables(seed: int) -> None:
    """Allowed, decided and the deciding rules are those of `decide`."""
    generator = Generator(Random(seed))
    policies = generator.policies(generator.random.randint(0, 6))
    tables = compile_policies(policies)
    requests = Requests(generator, policies)
    for _ in range(10):
        request = requests.request()
        verdict = decide(tables, request)

        explanation = explain(policies, request)

        assert (verdict.allowed, verdict.decided, verdict.rules) == (
            explanation.allowed,
            explanation.decided,
            explanation.rules,
        )


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100)
def test_a_rule_that_does_not_match_says_what_failed(seed: int) -> None:
    """A rule with a match has conditions that it rests on, one without has none, but what failed."""
    generator = Generator(Random(seed))
    policies = generator.policies(4)
    requests = Requests(generator, policies)
    for _ in range(5):
        for report in explain(policies, requests.request()).reports:
            assert (report.status is Status.NO_MATCH) >= bool(report.failed)
            assert (report.status is Status.NO_MATCH) != bool(report.why)
