"""The reference: what is in the file is what the definitions say, and they leave nothing out."""

import re

import pytest
import yaml

from fdstorefs.policy import reference
from fdstorefs.policy.definitions import KEYS, KEYS_OF, Key, Place
from fdstorefs.policy.parse_values import READERS
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.vocabulary import (
    ACCESS,
    ACTIONS,
    ALL,
    CAPABILITIES,
    KINDS,
    USERNS_WORDS,
    Effect,
    Mode,
    OpenerUnknown,
)
from fdstorefs.policy.words import WORDS
from tests.unit.house.source import REPOSITORY
from tests.unit.policy.loading import loaded

SKELETON = {
    Place.POLICY: "%s",
    Place.LIMITS: "limits: {%s}",
    Place.INSTANCE: "instances: [{%s}]",
    Place.SET: "sets: {s: {%s}}",
    Place.RULE: "rules: [{id: r, effect: allow, actions: list, %s}]",
    Place.UNLESS: "rules: [{id: r, effect: allow, actions: list, unless: {%s}}]",
    Place.STASHER: "rules: [{id: r, effect: allow, actions: list, stasher: {%s}}]",
    Place.OPENER: "rules: [{id: r, effect: allow, actions: list, opener: {%s}}]",
    Place.SUBJECT: "rules: [{id: r, effect: allow, actions: list, subject: {%s}}]",
}


def test_is_up_to_date() -> None:
    """`python -m tools.generate_policy_docs` writes it."""
    written = (REPOSITORY / "docs/policy/reference.md").read_text()

    assert reference.text() == written, "run: python -m tools.generate_policy_docs"


def test_names_every_key_and_word() -> None:
    """Every key has a heading, every word a row or a mention."""
    text = reference.text()
    words = (
        [key.name for key in KEYS] + [word for group in WORDS.values() for word in group] + list(CAPABILITIES)
    )

    assert [] == [word for word in words if f"`{word}`" not in text]


def test_its_links_lead_somewhere() -> None:
    """Every link within the page has its heading."""
    text = reference.text()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


def test_words_are_the_vocabularys() -> None:
    """Each group of words has all of them and no others."""
    groups = [Effect, (*ACTIONS, ALL), Mode, OpenerUnknown, USERNS_WORDS, ACCESS, KINDS]

    assert [list(group) for group in groups] == [list(meanings) for meanings in WORDS.values()]


def test_every_type_can_be_read() -> None:
    """The parser has a reader for each type, but mappings, whose keys have theirs."""
    assert set(Type) - {Type.MAPPING} == set(READERS)


def test_no_key_is_defined_twice_for_a_place() -> None:
    """One place, one name, one definition."""
    assert sum(len(key.places) for key in KEYS) == sum(len(keys) for keys in KEYS_OF.values())


@pytest.mark.parametrize("key", KEYS, ids=[f"{key.places[0]}-{key.name}" for key in KEYS])
def test_examples_work(key: Key) -> None:
    """Each example, put where its key may stand, is read without an error."""
    for place in key.places:
        document = yaml.safe_load("{version: 1, rules: [], sets: {web: {uid: 0}, ops: {uid: 1}}}")
        document |= yaml.safe_load(SKELETON[place] % key.example)
        errors = [
            found.message
            for found in loaded(yaml.safe_dump(document)).diagnostics
            if found.severity == "error"
        ]

        assert [] == errors
