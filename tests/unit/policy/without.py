"""Policies without some of their rules."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from fdstorefs.policy.model import Policy, Rule


def without(policies: Sequence[Policy], ids: Container[str]) -> list[Policy]:
    """The same policies, emptier; none is left out altogether."""
    return [
        replace(policy, rules=tuple(rule for rule in policy.rules if rule.id not in ids))
        for policy in policies
    ]


def rules_of(policies: Sequence[Policy]) -> Iterator[Rule]:
    """All their rules, in order."""
    for policy in policies:
        yield from policy.rules
