"""Verdicts straight from the model: every rule judged by itself, then weighed. For tests, tools and people.

`decide` finds the same with tables, much faster.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fdstorefs.policy.evaluate import Judgement, judge
from fdstorefs.policy.model import Policy, Rule
from fdstorefs.policy.request import Request
from fdstorefs.policy.vocabulary import Effect, Mode, OpenerUnknown


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule of a policy with its judgement."""

    policy: Policy
    rule: Rule
    judgement: Judgement

    @property
    def forbids(self) -> bool:
        """Whether it forbids."""
        return self.rule.effect is Effect.FORBID


@dataclass(frozen=True, slots=True)
class Weighed:
    """What comes of all rules: `decided`, by the rules in `deciding`; `allowed` is what is in force."""

    allowed: bool
    decided: bool
    deciding: tuple[Judged, ...]
    judged: tuple[Judged, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that decide, each once."""
        return tuple(dict.fromkeys(each.rule.id for each in self.deciding))


def weigh(policies: Sequence[Policy], request: Request) -> Weighed:
    """Judge all rules and weigh them: forbid overrides allow, and nothing at all denies."""
    judged = tuple(judge_all(policies, request))
    deciding = _deciding(judged)
    decided = _allows(deciding)
    return Weighed(_in_force(policies, judged), decided, deciding, judged)


def judge_all(policies: Sequence[Policy], request: Request) -> Iterator[Judged]:
    """Every rule with its judgement, in the order of the policies."""
    for policy in policies:
        assume = policy.opener_unknown is OpenerUnknown.ASSUME_STASHER
        for rule in policy.rules:
            yield Judged(policy, rule, judge(rule, request, assume_stasher=assume))


def _deciding(judged: Iterable[Judged], counts: Callable[[Judged], bool] | None = None) -> tuple[Judged, ...]:
    matching = [each for each in judged if each.judgement.matches and (counts is None or counts(each))]
    forbidding = tuple(each for each in matching if each.forbids)
    return forbidding or tuple(matching)


def _allows(deciding: tuple[Judged, ...]) -> bool:
    return bool(deciding) and not deciding[0].forbids


def _in_force(policies: Sequence[Policy], judged: Iterable[Judged]) -> bool:
    if policies and all(policy.mode is Mode.MONITOR for policy in policies):
        return True
    return _allows(_deciding(judged, lambda each: each.policy.mode is Mode.ENFORCE))
