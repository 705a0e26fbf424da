"""One more allow rule never takes anything away, one more forbid rule never gives anything.

Each rule of each generated policy is in turn the one that is added: to the same policies without it.
"""

from collections.abc import Callable

from fdstorefs.policy.vocabulary import Effect
from tests.unit.policy.agreement import evaluated
from tests.unit.policy.case import Case
from tests.unit.policy.oracle import OracleVerdict
from tests.unit.policy.searching import cases, must_hold
from tests.unit.policy.without import rules_of, without


def test_an_added_allow_rule_denies_nothing_that_was_allowed() -> None:
    """Neither over all rules nor in force."""
    must_hold(lambda case: _any_added(case, Effect.ALLOW, _loses))


def test_an_added_forbid_rule_allows_nothing_that_was_denied() -> None:
    """Neither over all rules nor in force."""
    must_hold(lambda case: _any_added(case, Effect.FORBID, _gains))


def test_an_added_rule_often_changes_something() -> None:
    """Allow rules do give and forbid rules do take in these cases; so the other tests can fail."""
    found = list(cases(1000))

    assert sum(_any_added(case, Effect.ALLOW, _gains) for case in found) > 20
    assert sum(_any_added(case, Effect.FORBID, _loses) for case in found) > 20


def _any_added(case: Case, effect: Effect, changes: Callable[[OracleVerdict, OracleVerdict], bool]) -> bool:
    after = evaluated(case.policies, case.request)
    return any(
        changes(evaluated(without(case.policies, {rule.id}), case.request), after)
        for rule in rules_of(case.policies)
        if rule.effect is effect
    )


def _gains(before: OracleVerdict, after: OracleVerdict) -> bool:
    return before.decided < after.decided or before.allowed < after.allowed


def _loses(before: OracleVerdict, after: OracleVerdict) -> bool:
    return before.decided > after.decided or before.allowed > after.allowed
