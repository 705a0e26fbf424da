"""Every condition of the example policies matters to their cases: whoever takes one out fails a case."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fdstorefs.policy.cases import run_cases
from fdstorefs.policy.load import load, source_from_bytes
from tests.unit.policy.test_examples import EXAMPLES, GOOD, cases_of

Document = dict[str, Any]
Place = tuple[str, ...]

NO_CONDITIONS = ("id", "effect", "actions")
FOR_PEOPLE = {
    # The forbid rule beside it forbids all that these keep from being allowed.
    ("owner-may-do-everything", ("stasher",)),
    ("owner-may-do-everything", ("stasher", "uid")),
    ("owner-may-do-everything", ("stasher", "userns")),
}
"""Conditions that change no verdict."""


def conditions(rule: Document) -> Iterator[Place]:
    """Where each condition of a rule stands, and each group of them. What is alone in a group goes with that."""

    def below(mapping: Document, place: Place) -> Iterator[Place]:
        for key, value in mapping.items():
            if not place or len(mapping) > 1:
                yield (*place, key)
            if isinstance(value, dict):
                yield from below(value, (*place, key))

    yield from below({key: value for key, value in rule.items() if key not in NO_CONDITIONS}, ())


def without(rule: Document, place: Place) -> Document:
    """The rule without one of them."""
    changed = copy.deepcopy(rule)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    del inside[place[-1]]
    return changed


def changes(policy: Path) -> Iterator[tuple[str, Place, Document]]:
    """The policy without each of its conditions in turn."""
    document = yaml.safe_load(policy.read_text())
    for number, rule in enumerate(document["rules"]):
        for place in conditions(rule):
            rules = [*document["rules"]]
            rules[number] = without(rule, place)
            yield rule["id"], place, {**document, "rules": rules}


def passes(policy: Path, document: Document) -> bool:
    """Whether the cases pass with this in the policy's place."""
    cases = cases_of(policy)
    texts = {name: (EXAMPLES / name).read_bytes() for name in cases.policies}
    texts[policy.name] = yaml.safe_dump(document).encode()
    found = load([source_from_bytes(name, text) for name, text in texts.items()], cases.names)
    assert found.ok, [diagnostic.message for diagnostic in found.diagnostics]
    return all(outcome.passed for outcome in run_cases(cases, found.policies))


@pytest.mark.parametrize("policy", GOOD, ids=lambda path: path.stem)
def test_a_condition_that_is_missing_fails_a_case(policy: Path) -> None:
    """Or it is there for people."""
    unnoticed = [(rule, place) for rule, place, document in changes(policy) if passes(policy, document)]

    assert [] == [each for each in unnoticed if each not in FOR_PEOPLE]


def test_there_are_conditions() -> None:
    """Alone and in groups."""
    subject = {"uid": [0], "gid": [0]}
    rule = {
        "id": "a",
        "kinds": ["box"],
        "subject": subject,
        "unless": {"opener": {"uid": [0], "userns": "same"}},
    }
    found = [
        ("kinds",),
        ("subject",),
        ("subject", "uid"),
        ("subject", "gid"),
        ("unless",),
        ("unless", "opener", "uid"),
        ("unless", "opener", "userns"),
    ]

    assert found == list(conditions(rule))
