"""The JSON Schema: it is valid, up to date, takes what the parser takes and refuses plain mistakes."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from fdstorefs.policy import schema
from fdstorefs.policy.definitions import KEYS
from tests.unit.house.source import PACKAGE
from tests.unit.policy.loading import loaded

VALIDATOR = Draft202012Validator(schema.schema())

RULE = "version: 1\nrules: [{id: a, effect: allow, actions: list, %s}]"


def test_is_a_schema() -> None:
    """It fits the schema of schemas."""
    Draft202012Validator.check_schema(schema.schema())


def test_is_up_to_date() -> None:
    """`python -m tools.generate_policy_docs` writes it."""
    written = (PACKAGE / "interface" / "policy.schema.json").read_text()

    assert schema.text() == written, "run: python -m tools.generate_policy_docs"
    assert schema.schema() == json.loads(schema.text())


def test_every_key_is_described() -> None:
    """With its meaning and an example that fits."""
    described = schema.schema()
    places = [described, *described["$defs"].values()]
    meanings = {key["description"] for place in places for key in place["properties"].values()}

    assert {key.meaning for key in KEYS} == meanings


@pytest.mark.parametrize(
    "text",
    [
        "version: 2\nrules: []",
        "version: 1",
        "version: 1\nrules: []\nmod: enforce",
        "version: 1\nrules: []\nmode: off",
        "version: 1\nrules: []\nlimits: {entries: -1}",
        "version: 1\nrules: []\ninstances: []",
        "version: 1\nrules: []\ninstances: [{owner: 0, cgroup: /a}]",
        "version: 1\nrules: []\nsets: {web: {}}",
        "version: 1\nrules: [{id: a, effect: allow}]",
        RULE % "kinds: []",
        RULE % "kinds: sock",
        RULE % "entries: [no]",
        RULE % "entries: 1.5",
        RULE % "subject: {}",
        RULE % "subject: {uid: [1.5]}",
        RULE % "subject: {capabilities: net_admin}",
        RULE % "unless: {entries: a}",
        RULE % "log: 'yes'",
    ],
)
def test_refuses(text: str) -> None:
    """What the schema refuses the parser refuses."""
    assert not loaded(text).ok
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text)))
