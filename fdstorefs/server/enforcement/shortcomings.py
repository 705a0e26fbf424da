"""Shortcomings: for want of what a request was denied, for the record. The slow path, taken for denials only."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fdstorefs.audit.decision import MOST_FAILED
from fdstorefs.policy.evaluate import Judgement, judge
from fdstorefs.policy.model import Policy, Rule
from fdstorefs.policy.request import Request
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.vocabulary import Effect, OpenerUnknown

MOST_RULES = 64
"""Most rules that are looked at: a denial must not cost more with every rule that there is."""


class Shortcomings(NamedTuple):
    """Conditions that failed, and those that could not be evaluated, as `rule: condition`."""

    failed: tuple[str, ...]
    unknown: tuple[str, ...]


def shortcomings(policies: Sequence[Policy], request: Request) -> Shortcomings:
    """What kept allow rules from matching, and what made forbid rules match for want of knowing better."""
    failed: list[str] = []
    unknown: list[str] = []
    for rule, judgement in _judged(policies, request):
        wanting = judgement.failed
        if rule.effect is Effect.FORBID:
            wanting = judgement.conditions if judgement.through_unknown else ()
        for condition in wanting:
            if condition.settled is Truth.UNKNOWN:
                unknown.append(f"{rule.id}: {condition.text}")
            elif rule.effect is Effect.ALLOW:
                failed.append(f"{rule.id}: {condition.text}")
    return Shortcomings(tuple(failed[:MOST_FAILED]), tuple(unknown[:MOST_FAILED]))


def _judged(policies: Sequence[Policy], request: Request) -> Iterator[tuple[Rule, Judgement]]:
    looked_at = 0
    for policy in policies:
        assume = policy.opener_unknown is OpenerUnknown.ASSUME_STASHER
        for rule in policy.rules:
            if request.action in rule.covers and looked_at < MOST_RULES:
                looked_at += 1
                yield rule, judge(rule, request, assume_stasher=assume)
