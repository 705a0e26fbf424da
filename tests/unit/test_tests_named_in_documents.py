"""What the documents promise is shown by tests that exist."""

import re
from pathlib import Path

import pytest

from tests.unit.house.source import REPOSITORY

THREATS = REPOSITORY / "docs" / "threat-model.md"
DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "SECURITY.md",
    *REPOSITORY.glob("docs/**/*.md"),
    *REPOSITORY.glob("examples/**/*.md"),
]
NAMED = re.compile(r"`(tests/[^`]*)`")


def rows(text: str) -> list[str]:
    """The rows of all tables, without their heads."""
    return re.findall(
        r"^\| (?!---)(.*) \|$", re.sub(r"^\|.*\|\n\| ---", "| ---", text, flags=re.MULTILINE), re.MULTILINE
    )


def is_there(name: str) -> bool:
    """Whether there is this directory, file, or test in a file."""
    path, _, test = name.partition("::")
    if not test:
        return (REPOSITORY / path).exists()
    return f"def {test}(" in (REPOSITORY / path).read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_they_exist(document: Path) -> None:
    """Each that is named."""
    assert [] == [name for name in NAMED.findall(document.read_text()) if not is_there(name)]


def test_whatever_is_done_is_tested() -> None:
    """Every objection that is said to be answered names a test."""
    answers = rows(THREATS.read_text().partition("## Answers")[2])
    done = [row for row in answers if "| done" in row]

    assert len(done) >= 9
    assert [] == [row for row in done if not NAMED.search(row)]


def test_whatever_attack_is_met_is_tested() -> None:
    """Every defence names a test, or says that it is not in this version."""
    attacks = rows(THREATS.read_text().partition("## Attacks")[2].partition("## ")[0])

    assert len(attacks) >= 11
    assert [] == [row for row in attacks if not NAMED.search(row) and "not in this version" not in row]
