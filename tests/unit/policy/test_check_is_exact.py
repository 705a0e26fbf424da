"""What the check says of rules is true of every request there is, and what it doesn't say isn't."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.policy.check_coverage import Checker, Problem
from fdstorefs.policy.evaluate import judge
from fdstorefs.policy.model import Policy, Rule
from fdstorefs.policy.request import UNKNOWN, Request
from fdstorefs.policy.vocabulary import BOX, EMPTY, Action, Effect, Mode, OpenerUnknown
from fdstorefs.policy.weigh import weigh
from tests.unit.policy.small_spaces import SPACES, policies

SEEDS = st.integers(0, 2**32)
MANY = settings(max_examples=20)
_each_space = pytest.mark.parametrize("name", SPACES)


def found(those: list[Policy]) -> dict[str, Problem]:
    checker = Checker(those)
    problems = {finding.rule.id: finding.problem for finding in checker.findings()}
    assert checker.unsettled == 0
    return problems


def is_all_known(request: Request) -> bool:
    entry, subject = request.entry, request.subject
    values: list[object] = [
        entry.kind,
        entry.filesystem,
        entry.access,
        entry.guarded,
        subject.uid,
        subject.gids,
        subject.capabilities,
        subject.userns,
    ]
    values += [subject.cgroup, entry.stasher.uid, entry.stasher.userns]
    values += [entry.opener.uid, entry.opener.capabilities, entry.opener.userns]
    return UNKNOWN not in values


def is_written_for(rule: Rule, request: Request) -> bool:
    """Whether the request is one of those that the rule is about, rather than what comes with them."""
    when = rule.when
    asked = (when.filesystems, when.access, when.guarded)
    about_file = when.asks_opener or any(given is not None for given in asked)
    if request.entry.kind == EMPTY and (about_file or (when.kinds is not None and EMPTY not in when.kinds)):
        return False
    if request.entry.kind == BOX and about_file and when.kinds is None:
        return False
    return request.action in rule.actions


def judged_as_written(policy: Policy, rule: Rule, request: Request) -> bool:
    """Whether the rule matches by its own conditions, even where more than these lets a box be listed."""
    assume = policy.opener_unknown is OpenerUnknown.ASSUME_STASHER
    if request.action is Action.LIST:
        # The same conditions under an action that has no rules of its own.
        rule = replace(rule, actions=frozenset({Action.SEAL}))
        request = replace(request, action=Action.SEAL)
    return judge(rule, request, assume_stasher=assume).matches


@_each_space
@given(seed=SEEDS)
@MANY
def test_a_rule_is_said_to_never_match_exactly_if_it_never_does(name: str, seed: int) -> None:
    """Among all requests in which everything is known, as the rule is written."""
    space, random = SPACES[name], Random(seed)
    those = policies(space, random, 4)
    problems = found(those)
    requests = [request for request in space.requests() if is_all_known(request)]
    for policy in those:
        for rule in policy.rules:
            actions = {request.action for request in requests}
            if not rule.actions & actions:
                continue
            rule_here = [request for request in requests if is_written_for(rule, request)]
            matches = any(judged_as_written(policy, rule, request) for request in rule_here)
            if rule.actions <= actions or matches:
                assert (not matches) == (problems.get(rule.id) is Problem.NEVER_MATCHES)


@_each_space
@given(seed=SEEDS)
@MANY
def test_an_allow_rule_is_said_to_be_unreachable_exactly_if_all_it_allows_is_forbidden(
    name: str, seed: int
) -> None:
    """By the rules that count for it: those in force, or all if it is only monitored."""
    space, random = SPACES[name], Random(seed)
    those = policies(space, random, 5)
    problems = found(those)
    requests = [request for request in space.requests() if is_all_known(request)]
    actions = {request.action for request in requests}
    for policy in those:
        counted = [other for other in those if other.mode is Mode.ENFORCE or policy.mode is Mode.MONITOR]
        for rule in policy.rules:
            if rule.effect is Effect.FORBID or not rule.actions <= actions:
                continue
            useful = any(
                judged_as_written(policy, rule, request) and not is_forbidden(counted, request)
                for request in requests
                if is_written_for(rule, request)
            )
            useless = {Problem.NEVER_MATCHES, Problem.UNREACHABLE, Problem.CONTRADICTORY}
            assert (not useful) == (problems.get(rule.id) in useless)


def is_forbidden(those: list[Policy], request: Request) -> bool:
    return any(
        judge(rule, request, assume_stasher=policy.opener_unknown is OpenerUnknown.ASSUME_STASHER).matches
        for policy in those
        for rule in policy.rules
        if rule.effect is Effect.FORBID
    )


@_each_space
@given(seed=SEEDS)
@MANY
def test_without_the_redundant_rules_every_verdict_is_the_same(name: str, seed: int) -> None:
    """With all that are reported taken out together, whatever is known or not."""
    space, random = SPACES[name], Random(seed)
    those = policies(space, random, 6)
    redundant = {rule for rule, problem in found(those).items() if problem is Problem.REDUNDANT}
    if not redundant:
        return
    rest = [
        replace(policy, rules=tuple(rule for rule in policy.rules if rule.id not in redundant))
        for policy in those
    ]
    for request in space.requests():
        before, after = weigh(those, request), weigh(rest, request)

        assert (before.allowed, before.decided) == (after.allowed, after.decided)


@_each_space
@given(seed=SEEDS)
@MANY
def test_a_rule_that_repeats_another_is_said_to_be_redundant(name: str, seed: int) -> None:
    """A copy with another id and fewer actions, unless it is no use anyway."""
    space, random = SPACES[name], Random(seed)
    those = policies(space, random, 3)
    policy = those[-1]
    if not policy.rules:
        return
    original = random.choice(policy.rules)
    fewer = frozenset(random.sample(sorted(original.covers), 1))
    copy = replace(original, id="copy", actions=fewer)
    those[-1] = replace(policy, rules=(*policy.rules, copy))

    assert "copy" in found(those)
