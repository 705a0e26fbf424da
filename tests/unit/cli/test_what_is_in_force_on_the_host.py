"""`policy status --host`, `policy load`, `policy mode`: what they ask the enforcer, print, and how they end."""

import json
import os
from pathlib import Path

import pytest

from fdstorefs.cli.in_force import lines, summary
from fdstorefs.cli.main import main
from fdstorefs.client import enforcer
from tests.unit.cli.fake_enforcer import STATUS, FakeEnforcer

pytestmark = pytest.mark.usefixtures("utc", "ann")

POLICY = """\
version: 1
name: web
rules:
  - {id: own, effect: allow, actions: [all], stasher: {uid: same, userns: same}}
"""
LOADED = {"parameters": {"generation": 5, "policies": ["web", "a\nb"], "warnings": 2}}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy without a mistake."""
    path = tmp_path / "web.yaml"
    path.write_text(POLICY)
    path.chmod(0o600)
    return path


def test_the_hosts_state(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """The enforcer, the policies, the instances; no name draws."""
    expected = """\
enforcer       pid 70, fdstorefs 0.1.0
running since  2023-11-15 12:00:00
generation     4, in force since 2023-11-15 12:01:01
hash           5c
hooks          file_receive, file_fcntl
lockdown       off: root of the host may look into servers
file           /p/web.yaml
file           /p/a\\nb.yaml
warnings       2; `fdstorefs policy check` tells them
rejected       a change of 2023-11-15 12:00:00: /p/web.yaml:3:5: error
audit          journald: 7 written, 1 lost
lost           9 records that the kernel had no room for
pinned at      /sys/fs/bpf/fdstorefs/v1

POLICY  MODE                RULES  FILE
web     enforce             3      /p/web.yaml
trial   monitor (switched)  1      /p/a\\nb.yaml

INSTANCE  MOUNT                SERVER                 OWNER  GUARDED  POLICIES
1         /run/fdstore         pid 77                 ann    12       web, trial
2         /run/user/1/fdstore  pid 78, not connected  1      0        web
3         /srv                 ended                  0      1        -
"""

    assert main(["policy", "status", "--host", "--enforcer", fake_enforcer.path]) == 0
    assert expected == capsys.readouterr().out


def test_the_hosts_state_as_json(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """What the interface has, objects as objects."""
    assert main(["policy", "status", "--host", "--json", "--enforcer", fake_enforcer.path]) == 0
    assert STATUS == json.loads(capsys.readouterr().out)


def test_a_host_without_policies_or_instances(fake_enforcer: FakeEnforcer) -> None:
    """Says what holds then, shows no empty tables, and that lockdown is on."""
    nothing = {
        "policies": [],
        "instances": [],
        "files": [],
        "warnings": 0,
        "rejected": None,
        "audit": None,
        "lost": 0,
        "hooks": [],
        "lockdown": True,
    }
    fake_enforcer.replies["Status"] = {"parameters": {**STATUS, **nothing}}
    expected = [
        "enforcer       pid 70, fdstorefs 0.1.0",
        "running since  2023-11-15 12:00:00",
        "policies       none, so an entry is its stasher's alone",
        "generation     4, in force since 2023-11-15 12:01:01",
        "hash           5c",
        "hooks          none: nothing is enforced",
        "lockdown       on: not even root looks into servers",
        "pinned at      /sys/fs/bpf/fdstorefs/v1",
    ]
    status = enforcer.status(fake_enforcer.path)

    assert expected == lines(status)
    assert "pid 70, fdstorefs 0.1.0, no policy, generation 4, 0 instances" == summary(status)


def test_without_an_enforcer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5, for each that needs one, and where to look."""
    nowhere = ["--enforcer", str(tmp_path / "none.sock")]
    for words in (["status", "--host"], ["load"], ["mode", "web", "monitor"]):
        assert main(["policy", *words, *nowhere]) == 5

        said = capsys.readouterr().err
        assert said.startswith("fdstorefs: no enforcer listens at `")
        assert "`fdstorefs doctor` says what is in force without it" in said


def test_loading_policies(
    fake_enforcer: FakeEnforcer,
    policy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The enforcer is told absolute paths; what is in force then is printed."""
    fake_enforcer.replies["Load"] = LOADED
    monkeypatch.chdir(policy.parent)

    assert main(["policy", "load", "web.yaml", "--enforcer", fake_enforcer.path]) == 0
    assert [("Load", {"files": [os.path.realpath(policy)]})] == fake_enforcer.calls
    assert "in force: web, a\\nb, generation 5; 2 warnings\n" == capsys.readouterr().out


def test_loading_again(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file: what the enforcer has. As JSON: what was put in force."""
    fake_enforcer.replies["Load"] = LOADED

    assert main(["policy", "load", "--json", "--enforcer", fake_enforcer.path]) == 0
    assert [("Load", {"files": []})] == fake_enforcer.calls
    assert LOADED["parameters"] == json.loads(capsys.readouterr().out)


def test_loading_no_policies_at_all(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """An enforcer without policies says what holds then."""
    fake_enforcer.replies["Load"] = {"parameters": {"generation": 5, "policies": [], "warnings": 0}}

    assert main(["policy", "load", "--enforcer", fake_enforcer.path]) == 0
    assert "in force: none, so an entry is its stasher's alone, generation 5\n" == capsys.readouterr().out


def test_mistakes_are_shown_here_and_go_no_further(
    fake_enforcer: FakeEnforcer, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With line and caret; the enforcer isn't even asked."""
    policy.write_text(POLICY.replace("effect:", "efect:"))

    assert main(["policy", "load", str(policy), "--enforcer", fake_enforcer.path]) == 1

    said = capsys.readouterr().err
    assert "did you mean `effect`?" in said
    assert (
        "fdstorefs: not loaded, so what was in force still is, for there are errors in the policies" in said
    )
    assert [] == fake_enforcer.calls


def test_warnings_are_shown_and_do_not_keep_a_policy_out(
    fake_enforcer: FakeEnforcer, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go to stderr."""
    fake_enforcer.replies["Load"] = LOADED
    policy.write_text(POLICY.replace(", stasher: {uid: same, userns: same}", ""))

    assert main(["policy", "load", str(policy), "--enforcer", fake_enforcer.path]) == 0
    assert "warning" in capsys.readouterr().err


def test_stdin_is_not_loaded(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """The enforcer watches what it loads, and there is nothing to watch."""
    assert main(["policy", "load", "-", "--enforcer", fake_enforcer.path]) == 2
    assert "the enforcer reads files, not stdin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [("NotPermitted", 3), ("BadPolicy", 1), ("NotEnforcing", 1), ("Failed", 1)]
)
def test_what_the_enforcer_refuses(
    fake_enforcer: FakeEnforcer, error: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its words, with the exit code that belongs to it."""
    fake_enforcer.refuse("Load", error, message="no \x1b[2J", hint="so")

    assert main(["policy", "load", "--enforcer", fake_enforcer.path]) == code
    assert "fdstorefs: no \\x1b[2J\n  hint: so\n" == capsys.readouterr().err


def test_mistakes_that_only_the_enforcer_sees(
    fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of them, in a line that cannot draw."""
    fake_enforcer.refuse("Load", "BadPolicy", message="not loaded", errors=["unknown `x`", "bad \x1b[2J"])

    assert main(["policy", "load", "--enforcer", fake_enforcer.path]) == 1
    assert "unknown `x`\nbad \\x1b[2J\nfdstorefs: not loaded\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("former", "expected"),
    [("enforce", "web: monitor, no longer enforce\n"), ("monitor", "web: monitor, as before\n")],
)
def test_switching_a_policy(
    fake_enforcer: FakeEnforcer, former: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is now, and what it was."""
    fake_enforcer.replies["SetMode"] = {"parameters": {"generation": 5, "former": former}}

    assert main(["policy", "mode", "web", "monitor", "--enforcer", fake_enforcer.path]) == 0
    assert [("SetMode", {"policy": "web", "mode": "monitor"})] == fake_enforcer.calls
    assert expected == capsys.readouterr().out


def test_switching_a_policy_as_json(fake_enforcer: FakeEnforcer, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts."""
    fake_enforcer.replies["SetMode"] = {"parameters": {"generation": 5, "former": "enforce"}}

    assert main(["policy", "mode", "web", "monitor", "--json", "--enforcer", fake_enforcer.path]) == 0
    expected = {"policy": "web", "mode": "monitor", "generation": 5, "former": "enforce"}
    assert expected == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", [["web"], ["web", "off"], []])
def test_a_mode_that_there_is_not(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, before anybody is asked."""
    assert main(["policy", "mode", *words]) == 2
    assert "hint: see `fdstorefs policy mode --help`" in capsys.readouterr().err
