"""What the documents show under a command is what the command prints, run where the clone is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fdstorefs.cli import policies
from fdstorefs.cli.main import main
from fdstorefs.policy.names import FixedNames
from tests.unit.house.source import REPOSITORY

DOCUMENTS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/**/*.md")]
SHOWN = re.compile(r"<!-- shown: (?P<name>[\w-]+) -->\n```console\n(?P<text>.*?)```", re.DOTALL)
PROMPT = "$ "
DEBIANS_NAMES = FixedNames({"root": 0, "mail": 8, "proxy": 13, "www-data": 33, "backup": 34})


class Session(NamedTuple):
    """A command and what stands under it."""

    command: str
    output: str


def sessions(text: str) -> Iterator[Session]:
    """Every command of a block."""
    for part in re.split(rf"^{re.escape(PROMPT)}", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", "").partition("\n")
        yield Session(command, output.strip("\n"))


def blocks() -> Iterator[tuple[str, str]]:
    """Every block of every document, with what to call it."""
    for document in DOCUMENTS:
        for block in SHOWN.finditer(document.read_text()):
            yield f"{document.relative_to(REPOSITORY)}:{block['name']}", block["text"]


BLOCKS = dict(blocks())


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS.keys())
def test_output_is_as_shown(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line of it; users have Debian's numbers."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(policies, "names_here", lambda: DEBIANS_NAMES)
    found = list(sessions(text))
    for session in found:
        program, *arguments = shlex.split(session.command)
        main(arguments)
        printed = capsys.readouterr()

        assert "fdstorefs" == program
        assert session.output == printed.out.strip("\n")
        assert "" == printed.err
    assert found


def test_there_is_much_to_compare() -> None:
    """In the guide to policies and in the one to the examples."""
    assert {"docs/policy/guide.md", "examples/policies/README.md"} == {
        name.partition(":")[0] for name in BLOCKS
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    """Relative links name files that exist."""
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", document.read_text())

    assert [] == [link for link in links if not (document.parent / link).exists()]
