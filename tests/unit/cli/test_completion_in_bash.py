"""What bash offers, asked of bash itself: the script is sourced and its function called."""

import subprocess

import pytest

from fdstorefs.cli.commands import completion
from fdstorefs.cli.parsing import parser_of
from fdstorefs.cli.verbs import FAMILIES, VERBS, members

PROGRAM = """
fdstorefs() { :; }
compopt() { :; }
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fdstorefs
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    done = subprocess.run(
        ["bash", "-c", PROGRAM, "bash", "fdstorefs", *words],
        env={"SCRIPT": completion.script("bash")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    return done.stdout.split()


def test_first_words() -> None:
    """Each verb or family, and what may stand before it."""
    first = {name.split()[0] for name in VERBS}

    assert {*first, "--at", "--help", "--version"} == set(offered(""))


@pytest.mark.parametrize("family", FAMILIES)
def test_second_words(family: str) -> None:
    """The members of a family, also where `--at` comes first."""
    expected = {*members(family), "--help"}

    assert expected == set(offered(family, "")) == set(offered("--at", "/mnt", family, ""))


@pytest.mark.parametrize("verb", VERBS)
def test_options(verb: str) -> None:
    """Exactly those that the verb takes, by their long names."""
    actions = parser_of(verb)._actions
    expected = {name for action in actions for name in action.option_strings if name.startswith("--")}

    assert expected == set(offered(*verb.split(), "--")) - {"--"}


def test_words_of_an_option() -> None:
    """An option with a fixed set of values offers them."""
    assert ["allow", "deny"] == offered("audit", "query", "--verdict", "")
    assert ["take"] == offered("policy", "explain", "--action", "t")
