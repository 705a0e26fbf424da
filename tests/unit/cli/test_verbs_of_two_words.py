"""Verbs of two words: the first names a family, the second what to do."""

import pytest

from fdstorefs.cli.choice import choose
from fdstorefs.cli.main import main
from fdstorefs.cli.overview import family_overview
from fdstorefs.cli.verbs import FAMILIES, VERBS, members


def test_each_family_has_members_and_no_verb_has_its_name() -> None:
    """A word is a verb or the first of two, never both."""
    assert all(members(family) for family in FAMILIES)
    assert set() == set(FAMILIES) & set(VERBS)
    assert {name.split()[0] for name in VERBS if " " in name} == set(FAMILIES)


def test_both_words_make_the_verb() -> None:
    """The rest are its arguments."""
    assert ("policy check", ["a.yaml"]) == choose(["policy", "check", "a.yaml"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_word_alone_makes_no_sense(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and every second word there is."""
    assert main([family]) == 2

    said = capsys.readouterr().err
    assert f"fdstorefs: `fdstorefs {family}` needs to know what to do\n" in said
    assert f"one of {', '.join(members(family))};" in said


@pytest.mark.parametrize(
    "argv", [["policy", "--help"], ["policy", "-h"], ["help", "policy"], ["policy", "help"]]
)
def test_help_of_a_family_lists_its_members(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With their summaries."""
    assert main(argv) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: fdstorefs policy COMMAND")
    assert all(verb.summary in said for verb in members("policy").values())


@pytest.mark.parametrize("family", FAMILIES)
def test_help_of_a_family_fits_a_terminal(family: str) -> None:
    """Of 80 columns."""
    assert all(len(line) <= 80 for line in family_overview(family).splitlines())


@pytest.mark.parametrize(
    "argv", [["help", "policy", "check"], ["policy", "help", "check"], ["policy", "check", "--help"]]
)
def test_help_of_a_member(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for in any order."""
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("usage: fdstorefs policy check ")


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["policy", "chek"], "`chek` is no command of `fdstorefs policy`", "did you mean `policy check`?"),
        (
            ["audit", "quary", "x"],
            "`quary` is no command of `fdstorefs audit`",
            "did you mean `audit query`?",
        ),
        (["polcy", "check"], "`polcy` is no command of fdstorefs", "did you mean `policy`?"),
        (["help", "polcy"], "`polcy` is no command of fdstorefs", "did you mean `policy`?"),
        (
            ["audit", "frobnicate"],
            "`frobnicate` is no command of `fdstorefs audit`",
            "one of tail, query, stats, verify, replay; `fdstorefs audit --help` says what each does",
        ),
    ],
)
def test_a_misspelt_word(
    argv: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what was probably meant."""
    assert main(argv) == 2
    assert f"fdstorefs: {message}\n  hint: {hint}\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--at", "/nowhere", "policy", "status"],
        ["policy", "--at", "/nowhere", "status"],
        ["policy", "status", "--at=/nowhere"],
    ],
)
def test_the_instance_may_be_named_anywhere(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before, between and after the words."""
    assert main(argv) == 5
    assert "no instance serves at `/nowhere`" in capsys.readouterr().err
