"""What an explanation says is what the tables decide, and each rule by itself is judged as the tables do it."""

from hypothesis import given, settings

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.explain import Status, explain
from tests.unit.policy.generated import Generator, generators
from tests.unit.policy.generated_requests import Requests


@given(generators())
@settings(max_examples=300, deadline=None)
def test_an_explanation_gives_the_verdict_of_the_tables(generator: Generator) -> None:
    """Allowed, decided and the deciding rules are those of `decide`."""
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


@given(generators())
@settings(max_examples=100, deadline=None)
def test_a_rule_that_does_not_match_says_what_failed(generator: Generator) -> None:
    """Each rule without a match names at least one condition; each rule with a match names none."""
    policies = generator.policies(4)
    requests = Requests(generator, policies)
    for _ in range(5):
        for report in explain(policies, requests.request()).reports:
            assert (report.status is Status.NO_MATCH) == bool(report.failed)
