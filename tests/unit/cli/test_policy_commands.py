"""The commands for policies, on policies in files."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from fdstorefs.cli.main import main
from fdstorefs.policy import difference
from fdstorefs.policy.budget import TooMuch
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.files import MAX_BYTES
from fdstorefs.policy.glob_classes import TooManyClasses
from fdstorefs.policy.load import load
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.schema import schema
from fdstorefs.policy.span import Source
from fdstorefs.policy.tables import Tables

GOOD = """\
version: 1
name: web
rules:
  - id: web-takes-listeners
    effect: allow
    actions: [retrieve]
    entries: ["listen/**"]
    kinds: [socket]
    subject: {uid: 33}
"""
WARNED = GOOD.replace("    kinds: [socket]\n", "")
BAD = GOOD.replace("effect: allow", "effekt: allow")
CASES = """\
cases:
  - name: the web takes its listener
    request: {action: retrieve, entry: listen/web, kind: socket, uid: 33}
    expect: allow
    rules: [web-takes-listeners]
  - name: nobody else does
    request: {action: retrieve, entry: listen/web, kind: socket, uid: 34}
    expect: deny
"""
ASK = ["--action", "retrieve", "--entry", "listen/web", "--kind", "socket"]


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        """It is one."""
        return True


Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and returns its path."""

    def run(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return str(path)

    return run


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command with a terminal for stdout and returns what that shows."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(*argv: str, code: int = 0) -> str:
        with redirect_stdout(Terminal()) as screen:
            assert code == main(argv)
        return screen.getvalue()

    return run


def tables_of(*texts: str) -> Tables:
    """What these policies are compiled to."""
    loaded = load([Source.of(f"{at}.yaml", text) for at, text in enumerate(texts)], FixedNames())
    assert loaded.ok
    return compile_policies(loaded.policies)


class TestCheck:
    """`policy check`."""

    def test_nothing_wrong(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """One line."""
        assert main(["policy", "check", write("web.yaml", GOOD)]) == 0
        assert "1 policy, 1 rule: nothing wrong\n" == capsys.readouterr().out

    def test_an_error(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """What, where, the line itself, a hint, and exit code 1."""
        path = write("web.yaml", BAD)

        assert main(["policy", "check", path]) == 1
        said = capsys.readouterr().out
        assert f"{path}:5:5: error: unknown key `effekt`\n" in said
        assert "        effekt: allow\n        ^^^^^^\n  hint: did you mean `effect`?\n" in said
        assert "2 errors, 0 warnings" == said.splitlines()[-1]
        assert "\x1b" not in said

    def test_colours_on_a_terminal(self, write: Write, on_terminal: Callable[..., str]) -> None:
        """And nowhere else."""
        assert "\x1b[1;31merror:" in on_terminal("policy", "check", write("web.yaml", BAD), code=1)

    def test_as_json(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Lines and columns count from 1."""
        path = write("web.yaml", BAD)

        assert main(["policy", "check", "--json", path]) == 1
        found = json.loads(capsys.readouterr().out)
        assert not found["ok"]
        assert found["errors"] == len(found["diagnostics"])
        places = [tuple(each[key] for key in ("file", "line", "column")) for each in found["diagnostics"]]
        assert (path, 5, 5) in places

    def test_stdin(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Is called so."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))

        assert main(["policy", "check", "-"]) == 1
        assert "<stdin>:5:5: error:" in capsys.readouterr().out

    def test_a_directory(self, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """All policies in it, together; not cases, hidden files, or what is further down."""
        write("a.yaml", GOOD)
        write("b.yml", GOOD.replace("web", "mail").replace("33", "34"))
        for other in ("a.cases.yaml", ".a.yaml", "a.yaml~", "old/c.yaml"):
            write(other, "nonsense: [")

        assert main(["policy", "check", str(tmp_path)]) == 0
        assert "2 policies, 2 rules: nothing wrong\n" == capsys.readouterr().out

    def test_policies_are_judged_together(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Two rules with one id are one too many."""
        paths = [write("a.yaml", GOOD), write("b.yaml", GOOD.replace("name: web", "name: mail"))]

        assert main(["policy", "check", *paths]) == 1
        assert "web-takes-listeners" in capsys.readouterr().out

    def test_an_empty_directory(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Is a mistake, not a policy without rules."""
        assert main(["policy", "check", str(tmp_path)]) == 1
        assert f"no policies in `{tmp_path}`" in capsys.readouterr().err

    def test_cases_are_no_policy(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """As a shell may give for `*.yaml`."""
        path = write("web.cases.yaml", CASES)

        assert main(["policy", "check", write("web.yaml", GOOD), path]) == 1
        assert f"fdstorefs: `{path}` holds cases, not a policy\n  hint: " in capsys.readouterr().err

    def test_no_such_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Says which."""
        assert main(["policy", "check", "/nowhere.yaml"]) == 1
        assert "fdstorefs: `/nowhere.yaml`: no such file or directory\n" == capsys.readouterr().err

    def test_what_is_no_text(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Is an error like any other, and the other files are read all the same."""
        (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
        (tmp_path / "b.yaml").write_text(BAD)

        assert main(["policy", "check", str(tmp_path)]) == 1
        said = capsys.readouterr().out
        assert "is not UTF-8" in said
        assert "unknown key `effekt`" in said

    def test_a_file_that_cannot_be_read_is_all_that_is_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the others mean together can't be judged without it."""
        (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
        (tmp_path / "b.yaml").write_text(WARNED)

        assert main(["policy", "check", str(tmp_path)]) == 1
        assert capsys.readouterr().out.endswith("\n1 error, 0 warnings\n")

    def test_warnings(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Are told, and fail only where they are asked to."""
        path = write("web.yaml", WARNED)

        assert main(["policy", "check", path]) == 0
        said = capsys.readouterr().out
        assert "warning:" in said
        assert said.endswith("\n1 policy, 1 rule: 1 warning\n")
        assert main(["policy", "check", "--strict", path]) == 1

    def test_too_much_on_stdin(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Is refused, not cut."""
        text = GOOD + "#" * (MAX_BYTES + 1 - len(GOOD))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

        assert main(["policy", "check", "-"]) == 1
        assert "more than 1,048,576" in capsys.readouterr().out

    def test_a_file_that_never_ends(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Is refused for its size, before it fills the memory."""
        assert main(["policy", "check", "/dev/zero"]) == 1
        assert "more than 1,048,576" in capsys.readouterr().out


class TestExplain:
    """`policy explain`."""

    def test_allowed(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 0."""
        assert main(["policy", "explain", write("web.yaml", GOOD), *ASK, "--uid", "33"]) == 0
        assert capsys.readouterr().out.startswith("allow: allowed by rule `web-takes-listeners`\n")

    def test_denied(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 3, and what it would take."""
        assert main(["policy", "explain", write("web.yaml", GOOD), *ASK, "--uid", "34"]) == 3

        said = capsys.readouterr().out
        assert said.startswith("deny: no rule allows it\n")
        assert "to be allowed:" in said

    def test_as_json(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """With the same exit code."""
        assert main(["policy", "explain", "--json", write("web.yaml", GOOD), *ASK]) == 3
        assert json.loads(capsys.readouterr().out)["allowed"] is False

    def test_monitoring_refuses_nothing(self, write: Write) -> None:
        """The exit code tells what is in force."""
        path = write("web.yaml", GOOD.replace("rules:", "mode: monitor\nrules:"))

        assert main(["policy", "explain", path, *ASK, "--uid", "34"]) == 0

    @pytest.mark.parametrize(("stasher", "code"), [("1000", 0), ("1001", 3)])
    def test_without_a_policy(self, stasher: str, code: int) -> None:
        """What somebody stashed is his."""
        assert main(["policy", "explain", *ASK, "--uid", "1000", "--stasher-uid", stasher]) == code

    def test_every_key_of_a_request_is_an_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        """And reaches the policy: this one asks for everything."""
        from fdstorefs.cli.commands.policy_explain import _GROUPS
        from fdstorefs.policy.question import KEYS, LISTS

        options = {key: option for group in _GROUPS.values() for key, option in group.items()}

        assert set(KEYS) == set(options)
        assert set(LISTS) == {key for key, option in options.items() if option.is_list}

    @pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 3), ("unknown", 3), ("perhaps", 2)])
    def test_whether_the_kernel_guards_it(self, write: Write, answer: str, code: int) -> None:
        """As it is said; nobody finds that out here."""
        path = write("web.yaml", GOOD + "    guarded: true\n")
        asked = [path, *ASK, "--uid", "33"]

        assert main(["policy", "explain", *asked, "--guarded", answer]) == code
        assert main(["policy", "explain", *asked]) == 3

    def test_lists_may_be_given_again(self, write: Write) -> None:
        """Such as groups."""
        path = write("web.yaml", GOOD.replace("uid: 33", "gid: 44"))

        assert main(["policy", "explain", path, *ASK, "--gid", "1", "--gid", "44"]) == 0

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (
                ["--action", "retreve", "--entry", "x"],
                "fdstorefs: argument --action: `retreve` is no action\n  hint: did you mean `retrieve`?\n",
            ),
            (
                [*ASK, "--cgroup", "a"],
                "fdstorefs: argument --cgroup: `a` has no leading slash\n  hint: write `/a`",
            ),
            (["--entry", "x"], "fdstorefs: the following arguments are required: --action\n  hint: see"),
        ],
    )
    def test_questions_that_make_no_sense(
        self, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Exit code 2."""
        assert main(["policy", "explain", *argv]) == 2
        assert capsys.readouterr().err.startswith(said)

    def test_a_policy_with_errors_decides_nothing(
        self, write: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Exit code 1, and the errors on stderr."""
        assert main(["policy", "explain", write("web.yaml", BAD), *ASK]) == 1
        captured = capsys.readouterr()
        assert "" == captured.out
        assert "unknown key `effekt`" in captured.err


class TestTest:
    """`policy test`."""

    def test_all_pass(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """One line; the file of cases is found by the policy's name."""
        path = write("web.yaml", GOOD)
        write("web.cases.yaml", CASES)

        assert main(["policy", "test", path]) == 0
        assert "2 passed, 0 failed\n" == capsys.readouterr().out

    def test_verbose(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """A line for each case."""
        write("web.yaml", GOOD)
        path = write("web.cases.yaml", CASES)
        expected = [
            f"passed {path}:2: the web takes its listener",
            f"passed {path}:6: nobody else does",
            "2 passed, 0 failed",
        ]

        assert main(["policy", "test", "-v", path]) == 0
        assert expected == capsys.readouterr().out.splitlines()

    def test_a_failure(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Comes with what was expected, and why it is otherwise."""
        write("web.yaml", GOOD)
        path = write("web.cases.yaml", CASES.replace("expect: deny", "expect: allow"))

        assert main(["policy", "test", path]) == 1
        said = capsys.readouterr().out
        assert said.startswith(
            f"FAILED {path}:6: nobody else does: expected allow, got deny by no rule\n    deny: no rule"
        )
        assert said.endswith("1 passed, 1 failed\n")

    def test_as_json(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Each case with its outcome."""
        write("web.yaml", GOOD)
        path = write("web.cases.yaml", CASES.replace("expect: deny", "expect: allow"))

        assert main(["policy", "test", "--json", path]) == 1
        found = json.loads(capsys.readouterr().out)
        (file,) = found["files"]
        assert (False, path) == (found["ok"], file["file"])
        assert [True, False] == [case["passed"] for case in file["cases"]]
        assert ("allow", "deny") == tuple(file["cases"][1][key] for key in ("expected", "verdict"))

    def test_a_directory(self, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """All cases in it and below."""
        for name in ("web", "below/web"):
            write(f"{name}.yaml", GOOD)
            write(f"{name}.cases.yaml", CASES)

        assert main(["policy", "test", str(tmp_path)]) == 0
        assert "4 passed, 0 failed\n" == capsys.readouterr().out

    def test_names_are_those_of_the_file(self, write: Write) -> None:
        """So that a test says the same on every machine."""
        write("web.yaml", GOOD.replace("uid: 33", "uid: nobody-of-that-name"))
        path = write("web.cases.yaml", f"users: {{nobody-of-that-name: 33}}\n{CASES}")

        assert main(["policy", "test", path]) == 0

    def test_policies_beside_it(self, write: Write) -> None:
        """By paths from the file of cases."""
        write("policies/web.yaml", GOOD)
        path = write("tests/a.cases.yaml", f"policies: [../policies/web.yaml]\n{CASES}")

        assert main(["policy", "test", path]) == 0

    @pytest.mark.parametrize(("policy", "cases"), [(BAD, CASES), (GOOD, CASES.replace("expect", "expct"))])
    def test_errors(self, write: Write, policy: str, cases: str, capsys: pytest.CaptureFixture[str]) -> None:
        """In the policy or in the cases: nothing passes."""
        write("web.yaml", policy)
        path = write("web.cases.yaml", cases)

        assert main(["policy", "test", path]) == 1
        said = capsys.readouterr().out
        assert "error:" in said
        assert said.endswith("0 passed, 0 failed, 1 file with errors\n")

    def test_no_cases(self, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Is a failure: a test that runs nothing proves nothing."""
        path = write("web.yaml", GOOD)

        assert main(["policy", "test", path]) == 1
        assert f"no cases for `{path}`\n  hint: write `{tmp_path}/web.cases.yaml`" in capsys.readouterr().err
        assert main(["policy", "test", str(tmp_path)]) == 1
        assert f"no cases in `{tmp_path}`" in capsys.readouterr().err

    def test_cases_without_a_policy(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Say which is missing."""
        path = write("web.cases.yaml", CASES)

        assert main(["policy", "test", path]) == 1
        assert f"`{path}` names no policies" in capsys.readouterr().err


class TestDiff:
    """`policy diff`."""

    @pytest.fixture
    def pair(self, write: Write) -> list[str]:
        """A policy, and what it is to become."""
        return [write("old.yaml", GOOD), write("new.yaml", GOOD.replace("retrieve", "take"))]

    def test_differences(self, pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """What becomes allowed and what becomes denied; the exit code is 0."""
        assert main(["policy", "diff", *pair]) == 0

        signs = [line[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
        assert {"+", "-"} == set(signs)

    def test_the_exit_code_tells_if_it_is_asked_to(self, pair: list[str]) -> None:
        """1 for differences, 0 for none."""
        assert main(["policy", "diff", "--exit-code", *pair]) == 1
        assert main(["policy", "diff", "--exit-code", pair[0], pair[0]]) == 0

    def test_no_difference(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """What is written another way and means the same is none."""
        pair = [write("old.yaml", GOOD), write("new.yaml", GOOD.replace("[socket]", "socket"))]

        assert main(["policy", "diff", *pair]) == 0
        assert "no request gets another verdict\n" == capsys.readouterr().out

    def test_as_json(self, pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """A list of differences."""
        assert main(["policy", "diff", "--json", *pair]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {"allow", "deny"} == {change["becomes"] for change in found}

    def test_directories(self, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """All the policies in each, together."""
        for side in ("old", "new"):
            write(f"{side}/web.yaml", GOOD)
        write("new/mail.yaml", GOOD.replace("web", "mail").replace("33", "34"))

        assert main(["policy", "diff", f"{tmp_path}/old", f"{tmp_path}/new"]) == 0
        assert "`mail-takes-listeners`" in capsys.readouterr().out

    def test_stdin_is_there_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It can't be both."""
        assert main(["policy", "diff", "-", "-"]) == 2
        assert "fdstorefs: `-` can't be both OLD and NEW\n" == capsys.readouterr().err

    @pytest.mark.parametrize("reason", [TooMuch, TooManyClasses])
    def test_too_much_to_compare(
        self,
        reason: type[Exception],
        pair: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Is said, with what to do, rather than half the differences."""

        def give_up(old: object, new: object) -> None:
            raise reason

        monkeypatch.setattr(difference, "difference", give_up)

        assert main(["policy", "diff", *pair]) == 1
        captured = capsys.readouterr()
        assert "" == captured.out
        assert "overlap in too many ways" in captured.err
        assert "compare fewer policies at a time" in captured.err


class TestCompile:
    """`policy compile`."""

    def test_the_tables(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        """Every evaluator can read them, and the hash is theirs."""
        tables = tables_of(GOOD)

        assert main(["policy", "compile", write("web.yaml", GOOD)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert tables.to_json() == Tables.from_json(found).to_json()
        assert tables.hash == found["hash"]

    def test_into_a_file(self, write: Write, tmp_path: Path, on_terminal: Callable[..., str]) -> None:
        """And a summary for people."""
        out = tmp_path / "tables.json"
        expected = [
            "policies  web (enforce)",
            "rules     1",
            "terms     1",
            "words     1",
            f"hash      {tables_of(GOOD).hash}",
        ]

        assert (
            expected == on_terminal("policy", "compile", "-o", str(out), write("web.yaml", GOOD)).splitlines()
        )
        assert tables_of(GOOD).hash == Tables.from_json(json.loads(out.read_text())).hash

    def test_on_a_terminal(self, write: Write, on_terminal: Callable[..., str]) -> None:
        """The summary, or with `--json` the tables."""
        path = write("web.yaml", GOOD)

        assert on_terminal("policy", "compile", path).startswith("policies  web")
        assert '"terms": [' in on_terminal("policy", "compile", "--json", path)

    def test_errors(self, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing is written."""
        out = tmp_path / "tables.json"

        assert main(["policy", "compile", "-o", str(out), write("web.yaml", BAD)]) == 1
        assert not out.exists()
        assert "in the policies" in capsys.readouterr().err


class TestSchema:
    """`policy schema`."""

    def test_it_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As JSON."""
        assert main(["policy", "schema"]) == 0
        assert schema() == json.loads(capsys.readouterr().out)

    def test_help_says_how_an_editor_finds_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With the line that goes into a policy."""
        assert main(["policy", "schema", "--help"]) == 0
        assert "# yaml-language-server: $schema=" in capsys.readouterr().out
