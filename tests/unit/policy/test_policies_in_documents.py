"""Policies that the documents show are right, whole or in part."""

import re
from collections.abc import Iterator

import pytest

from fdstorefs.policy.check import check
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.policy.names import FixedNames
from tests.unit.house.source import REPOSITORY

DOCUMENTS = ("docs/policy/guide.md", "docs/guide.md", "examples/policies/README.md")
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMES = FixedNames({"root": 0, "proxy": 13, "www-data": 33})
HEAD = "version: 1\nname: shown\n"


def shown() -> Iterator[tuple[str, str]]:
    """Every block, and where it stands."""
    for document in DOCUMENTS:
        for number, text in enumerate(BLOCK.findall((REPOSITORY / document).read_text()), 1):
            yield f"{document}:{number}", text


def whole(text: str) -> str:
    """A policy around a part of one."""
    if text.startswith("version:"):
        return text
    return f"{HEAD}{text}" if text.startswith("rules:") else f"{HEAD}rules:\n{text}"


BLOCKS = dict(shown())


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_policy_that_is_shown_is_right(text: str) -> None:
    """It has no errors: it is read, and every rule in it can matter."""
    found = load([source_from_bytes("shown.yaml", whole(text).encode())], NAMES)
    diagnostics = [*found.diagnostics, *check(found.policies)]

    assert [] == [each.message for each in diagnostics if each.severity == "error"]


def test_the_guide_shows_policies() -> None:
    """Else nothing was tested."""
    assert 5 <= sum(name.startswith("docs/policy/guide.md") for name in BLOCKS)
