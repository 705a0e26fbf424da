"""A verdict names the rules that decide it: all of them, no others, in order, each once."""

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.verdict import Reason
from fdstorefs.policy.vocabulary import Effect
from tests.unit.policy.agreement import evaluated
from tests.unit.policy.case import Case
from tests.unit.policy.searching import cases, must_hold
from tests.unit.policy.without import rules_of, without


def test_only_a_default_deny_names_no_rule() -> None:
    """An allow names allow rules, a deny names forbid rules or none, and the reason says which it is."""
    must_hold(_misnames)


def test_rules_are_named_in_the_order_of_the_policies() -> None:
    """Each once, even where it matches by several of its sets."""
    must_hold(_is_out_of_order)


def test_a_rule_that_does_not_decide_can_go() -> None:
    """Without it the verdict over all rules is the same, by the same rules."""
    must_hold(_needs_others)


def test_without_the_rules_that_allowed_it_is_a_default_deny() -> None:
    """All allow rules that match are named: nothing else allows it."""
    must_hold(_is_allowed_by_others)


def test_without_the_rules_that_forbade_it_nothing_forbids_it() -> None:
    """All forbid rules that match are named; it is then allowed, or denied by default."""
    must_hold(_is_forbidden_by_others)


def test_verdicts_often_have_several_deciding_rules() -> None:
    """So the other tests could fail; and some requests are allowed once what forbade them is gone."""
    found = [(case, evaluated(case.policies, case.request)) for case in cases(2000)]
    forbidden = [(case, each) for case, each in found if each.rules and not each.decided]
    freed = [
        case
        for case, each in forbidden
        if evaluated(without(case.policies, each.rules), case.request).decided
    ]

    assert sum(len(each.rules) > 1 for _, each in found) > 200
    assert len(freed) > 50


def _misnames(case: Case) -> bool:
    found = decide(compile_policies(case.policies), case.request)
    effects = {rule.effect for rule in rules_of(case.policies) if rule.id in found.rules}
    expected = {
        Reason.RULE: (True, {Effect.ALLOW}),
        Reason.FORBIDDEN: (False, {Effect.FORBID}),
        Reason.NO_RULE: (False, set()),
    }
    return expected[found.reason] != (found.decided, effects)


def _is_out_of_order(case: Case) -> bool:
    found = decide(compile_policies(case.policies), case.request).rules
    return [rule.id for rule in rules_of(case.policies) if rule.id in found] != list(found)


def _needs_others(case: Case) -> bool:
    found = evaluated(case.policies, case.request)
    for rule in rules_of(case.policies):
        if rule.id not in found.rules:
            after = evaluated(without(case.policies, {rule.id}), case.request)
            if (found.decided, found.rules) != (after.decided, after.rules):
                return True
    return False


def _is_allowed_by_others(case: Case) -> bool:
    found = evaluated(case.policies, case.request)
    after = evaluated(without(case.policies, found.rules), case.request)
    return found.decided and (after.decided or bool(after.rules))


def _is_forbidden_by_others(case: Case) -> bool:
    found = evaluated(case.policies, case.request)
    after = evaluated(without(case.policies, found.rules), case.request)
    return bool(found.rules) and not found.decided and not after.decided and bool(after.rules)
