"""What the documents show is what happens."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs import interface
from tests.mount.cast import REPOSITORY, Process
from tests.unit.test_shown_output import SHOWN

README = REPOSITORY / "README.md"
GUIDE = REPOSITORY / "docs" / "guide.md"
BLOCK = re.compile(r"<!-- run: (?P<where>\w+) -->\n```console\n(?P<text>.*?)```", re.DOTALL)
PROGRAMS = ("server", "inetd-style-server")
PREPARE = """
set -e
cd "$HOME"
for program in PROGRAMS; do printf '#!/bin/sh\\ntrue\\n' >$program; chmod +x $program; done
PATH=BIN:$PATH
exec 9<>state; fdstorefs() { command fdstorefs "$@"; }
""".replace("PROGRAMS", " ".join(PROGRAMS))


def shown_session() -> str:
    """The session between the README's marks."""
    text = README.read_text()
    begin, end = text.index("<!-- demo begins"), text.index("<!-- demo ends -->")
    return text[begin:end].split("```console\n", 1)[1].rsplit("```", 1)[0]


def without_numbers(text: str) -> list[str]:
    """The lines of a session, with every number and the width of columns left out."""
    return [
        re.sub(r"\s+", " ", re.sub(r"\d[\d:-]*", "N", line)).strip() for line in text.strip().splitlines()
    ]


def bin_directory() -> Path:
    """Where the installed command is."""
    return REPOSITORY / ".venv" / "bin"


def test_the_readmes_session_is_what_make_demo_prints() -> None:
    """Run it, and compare all but the numbers. Nobody was refused, and the other namespace saw nothing."""
    done = subprocess.run(
        [REPOSITORY / "tools" / "demo"], capture_output=True, text=True, timeout=100, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert without_numbers(done.stdout) == without_numbers(shown_session())
    assert " 0 refused" in done.stdout
    assert done.stdout.rstrip().endswith("\n0")


def commands(document: Path, where: str) -> list[str]:
    """The commands of all blocks of a document that are to be run in a place."""
    text = "".join(found["text"] for found in BLOCK.finditer(document.read_text()) if found["where"] == where)
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("document", [README, GUIDE], ids=lambda path: path.name)
def test_commands_shown_work_in_a_namespace(as_user: Callable[..., Process], document: Path) -> None:
    """Every command of the document, one after the other, in one shell inside `fdstorefs run`."""
    shown = commands(document, "namespace")
    script = "\n".join([PREPARE.replace("BIN", str(bin_directory())), *stash_state(), *shown])
    process = as_user([str(bin_directory() / "fdstorefs"), "run", "--", "bash", "-c", script])
    out, err = process.communicate(timeout=60)

    assert shown
    assert (process.returncode, err) == (0, ""), out


def stash_state() -> list[str]:
    """The guide's `state` comes from elsewhere."""
    return ["fdstorefs put state 9"]


def test_commands_shown_work_for_an_ordinary_user(as_user: Callable[..., Process]) -> None:
    """Outside any namespace, through fusermount3."""
    shown = commands(GUIDE, "user")
    script = "\n".join([PREPARE.replace("BIN", str(bin_directory())), *shown])
    process = as_user(["bash", "-c", script])
    out, err = process.communicate(timeout=60)

    assert shown
    assert (process.returncode, err) == (0, ""), out


def test_every_shown_command_is_run() -> None:
    """A console block is run here, in tests/unit/test_shown_output.py or with containers, or is set-up or the demo."""
    elsewhere = {README: 2, REPOSITORY / "docs" / "containers.md": 1}
    for document in (README, *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/**/*.md")):
        text = document.read_text()
        run = len(BLOCK.findall(text)) + len(SHOWN.findall(text))

        assert text.count("```console\n") - elsewhere.get(document, 0) == run, document.name


def test_the_interface_shown_is_the_one_that_is_served() -> None:
    """docs/socket.md has the definition word for word."""
    text = (REPOSITORY / "docs" / "socket.md").read_text()
    shown = text.split("```varlink\n", 1)[1].split("```", 1)[0]

    assert shown == interface.description()
