"""Command lines: the right verb, the right options, and words for what makes no sense."""

import pkgutil
from pathlib import Path

import pytest

from fdstorefs.cli import commands
from fdstorefs.cli.commands import completion
from fdstorefs.cli.failure import Failure, UsageError
from fdstorefs.cli.listening import Address, listen, parse
from fdstorefs.cli.main import main
from fdstorefs.cli.manual import manual
from fdstorefs.cli.overview import overview
from fdstorefs.cli.parsing import parser_of
from fdstorefs.cli.verbs import VERBS, load, split_command

PAGE = Path(__file__).resolve().parents[3] / "man" / "fdstorefs.1"


def long_options(verb: str) -> set[str]:
    """The options of a verb, in their long form."""
    actions = parser_of(verb)._actions
    return {name for action in actions for name in action.option_strings if name.startswith("--")} - {
        "--help"
    }


def test_every_module_is_a_verb() -> None:
    """And every verb has a module."""
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}

    assert modules == {verb.module for verb in VERBS.values()}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help teaches: it shows command lines."""
    assert main([verb, "--help"]) == 0

    said = capsys.readouterr().out
    assert f"usage: fdstorefs {verb}" in said
    assert "examples:\n  " in said
    assert f"fdstorefs {verb}" in load(verb).EXAMPLES or "--at" in load(verb).EXAMPLES


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """With the words that its own help begins with."""
    assert main(["--help"]) == 0

    said = capsys.readouterr().out
    assert all(verb.summary in said for verb in VERBS.values())
    assert all(len(line) <= 80 for line in overview().splitlines())


def test_help_of_a_verb_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """`help ls` is `ls --help`."""
    assert main(["help", "ls"]) == 0
    assert "usage: fdstorefs ls" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, with the name."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fdstorefs 0.")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "fdstorefs: no command given\n  hint: `fdstorefs --help` lists them\n"),
        (["exce"], "fdstorefs: `exce` is no command of fdstorefs\n  hint: did you mean `exec`?\n"),
        (
            ["frobnicate"],
            "fdstorefs: `frobnicate` is no command of fdstorefs\n  hint: `fdstorefs --help` lists them\n",
        ),
        (
            ["ls", "--frob"],
            "fdstorefs: unrecognized arguments: --frob\n  hint: see `fdstorefs ls --help`\n",
        ),
        (
            ["ls", "--js"],
            "fdstorefs: unrecognized arguments: --js\n  hint: see `fdstorefs ls --help`\n",
        ),
        (
            ["put", "x", "--mode", "8"],
            "fdstorefs: argument --mode: invalid octal mode value: '8'\n  hint: see `fdstorefs put --help`\n",
        ),
        (
            ["put", "x", "--mode", "77777"],
            "fdstorefs: argument --mode: `77777` is no octal mode\n  hint: see `fdstorefs put --help`\n",
        ),
        (
            ["exec", "web"],
            "fdstorefs: no command to run\n  hint: give it after `--`: `fdstorefs exec NAME -- COMMAND`\n",
        ),
        (["run"], "fdstorefs: no command to run\n  hint: give it after `--`: `fdstorefs run -- bash`\n"),
        (["put", "x", "0", "--listen", "tcp::80"], "fdstorefs: give FD or `--listen`, not both\n"),
    ],
)
def test_what_makes_no_sense_is_said(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what is wrong, and where to look."""
    assert main(argv) == 2
    assert said == capsys.readouterr().err


def test_what_follows_the_dashes_is_not_ours() -> None:
    """Also when it looks like it."""
    assert (["web", "--take"], ["ls", "--", "--at"]) == split_command(
        "exec", ["web", "--take", "--", "ls", "--", "--at"]
    )


def test_other_verbs_keep_their_dashes() -> None:
    """`rm -- -x` removes `-x`."""
    assert (["--", "-x"], None) == split_command("rm", ["--", "-x"])
    assert parser_of("rm").parse_args(["--", "-x"]).names == ["-x"]


@pytest.mark.parametrize(
    "argv", [["--at", "/nowhere", "ls"], ["--at=/nowhere", "ls"], ["ls", "--at", "/nowhere"]]
)
def test_the_instance_may_be_named_before_or_after_the_verb(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No instance there is exit code 5."""
    assert main(argv) == 5
    assert "no instance serves at `/nowhere`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp:127.0.0.1:80", Address("tcp", "127.0.0.1", "80")),
        ("tcp:[::1]:80", Address("tcp", "::1", "80")),
        ("tcp::0", Address("tcp", "", "0")),
        ("udp:localhost:53", Address("udp", "localhost", "53")),
        ("unix:/run/a:b", Address("unix", path="/run/a:b")),
    ],
)
def test_addresses_to_listen_at(text: str, expected: Address) -> None:
    """Brackets around IPv6, as in a URL."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text", ["", "tcp", "tcp:80", "tcp:a:b", "tcp:::1:80", "tcp:a:70000", "unix:", "sctp:a:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the forms there are."""
    with pytest.raises(UsageError, match="no address") as raised:
        parse(text)

    assert "tcp:HOST:PORT" in (raised.value.hint or "")


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    """A socket file that somebody left is no mystery."""
    path = tmp_path / "left.sock"
    listen(Address("unix", path=str(path))).close()
    with pytest.raises(Failure) as raised:
        listen(Address("unix", path=str(path)))

    assert raised.value.message == f"cannot listen at `{path}`: address already in use"
    assert raised.value.hint == "something listens there, or left its socket; remove that first"


@pytest.mark.parametrize("shell", completion.SHELLS)
@pytest.mark.parametrize("verb", VERBS)
def test_completions_know_every_verb_and_option(shell: str, verb: str) -> None:
    """A new option that a shell doesn't offer fails here."""
    script = completion.script(shell)
    spelled = {
        option: f"-l {option.removeprefix('--')}" if shell == "fish" else option
        for option in long_options(verb)
    }

    assert all(word in script for word in verb.split())
    assert [] == [option for option, spelling in spelled.items() if spelling not in script]


@pytest.mark.parametrize("columns", ["20", "200", None])
def test_the_manual_page_is_what_the_commands_take(
    columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of options: run `man/generate`. The width of the terminal makes no difference."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)

    assert PAGE.read_text(encoding="utf-8") == manual()
