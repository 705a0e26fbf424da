"""`fdstorefs enforce`: what the enforcer is told, what is said when it can't, and `--off`."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs.audit.target import Target
from fdstorefs.bpf import kernel
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.cli.main import main
from fdstorefs.enforcer import enforcer, running
from fdstorefs.enforcer.errors import EnforcerError
from fdstorefs.enforcer.options import PINS, SOCKET, EnforceOptions
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


class Enforcing:
    """Notes with which options the enforcer would run; `raises` keeps it from running."""

    def __init__(self) -> None:
        self.options: list[EnforceOptions] = []
        self.raises: Exception | None = None

    def __call__(self, options: EnforceOptions) -> None:
        self.options.append(options)
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def enforcing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Enforcing]:
    """The enforcer does not run; logging stays as it was."""
    found = Enforcing()
    monkeypatch.setattr(enforcer, "run", found)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    return found


@pytest.fixture
def taken_down(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where something was taken out of force: nothing is."""
    found: list[str] = []

    def switch_off(pins: str) -> tuple[str, ...]:
        found.append(pins)
        return ("file_receive", "file_fcntl") if len(found) == 1 else ()

    monkeypatch.setattr(kernel, "switch_off", switch_off)
    monkeypatch.setattr(running, "is_running", lambda socket: socket == "/running")
    return found


def refusal(**changes: str) -> KernelError:
    """An error of the kernel's side."""
    said = {"where": "/sys/fs/bpf", "why": "no", "hint": "so", **changes}
    return KernelError(said.pop("code", "load"), "cannot load the programs", **said)


def test_without_options(enforcing: Enforcing) -> None:
    """Everything where it usually is."""
    assert main(["enforce"]) == 0
    assert [EnforceOptions(socket=SOCKET, pins=PINS)] == enforcing.options


def test_with_all_options(enforcing: Enforcing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are made absolute: the enforcer may go elsewhere."""
    monkeypatch.chdir(tmp_path)
    words = [
        "--policy",
        "p",
        "--policy",
        "/q.yaml",
        "--audit",
        "stderr",
        "--audit-fsync",
        "always",
        "--lockdown",
    ]
    assert main(["enforce", *words, "--socket", "s", "--pins", "/b", "--ready-fd", "7"]) == 0

    (options,) = enforcing.options
    assert (f"{tmp_path}/p", "/q.yaml") == options.policies
    assert ((Target("stderr"),), "always") == (options.audit.targets, str(options.audit.fsync))
    assert (f"{tmp_path}/s", "/b", True, 7) == (
        options.socket,
        options.pins,
        options.lockdown,
        options.ready_fd,
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (refusal(), 1, "fdstorefs: cannot load the programs (`/sys/fs/bpf`): no\n  hint: so\n"),
        (
            refusal(code="no-capability"),
            3,
            "fdstorefs: cannot load the programs (`/sys/fs/bpf`): no\n  hint: so\n",
        ),
        (EnforcerError("one runs", hint="end it"), 1, "fdstorefs: one runs\n  hint: end it\n"),
    ],
)
def test_why_it_does_not_start(
    enforcing: Enforcing, error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of whoever refused, with what to do; not to be root of the host is to be denied."""
    enforcing.raises = error

    assert main(["enforce"]) == code
    assert said == capsys.readouterr().err


def test_policies_with_mistakes_are_shown_whole(
    enforcing: Enforcing, capsys: pytest.CaptureFixture[str]
) -> None:
    """And put in force not at all."""
    enforcing.raises = PolicyError([Diagnostic(Severity.ERROR, "x", "this is wrong", None)])

    assert main(["enforce"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this is wrong\n")
    assert "fdstorefs: nothing put in force, for there are errors in the policies:" in said


def test_switching_off(taken_down: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Says what was in force; twice is no error."""
    assert main(["enforce", "--off", "--pins", "/b"]) == 0
    assert main(["enforce", "--off", "--pins", "/b"]) == 0

    assert ["/b", "/b"] == taken_down
    assert [
        "the kernel enforces nothing any more; until now it did at file_receive, file_fcntl",
        "nothing was in force",
    ] == capsys.readouterr().out.splitlines()


def test_what_a_crashed_enforcer_has_left_is_removed(taken_down: list[str], tmp_path: Path) -> None:
    """Otherwise servers would wait for it. What is no socket stays."""
    left = tmp_path / "enforcer.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(left))
    other = tmp_path / "other"
    other.touch()

    assert [0, 0] == [main(["enforce", "--off", "--socket", str(each)]) for each in (left, other)]
    assert [other] == list(tmp_path.iterdir())


def test_not_while_an_enforcer_runs(taken_down: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is taken from under it."""
    assert main(["enforce", "--off", "--socket", "/running"]) == 1
    assert [] == taken_down
    assert "end it first: `systemctl stop fdstorefs-enforcer`" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--off"]])
def test_not_for_other_users(
    enforcing: Enforcing,
    taken_down: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 3, and nothing is tried."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert main(["enforce", *words]) == 3
    assert ([], []) == (enforcing.options, taken_down)
    assert "only root of the host may do this" in capsys.readouterr().err


def test_root_of_a_namespace_does_not_switch_off(
    taken_down: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3."""

    def refuse(pins: str) -> tuple[str, ...]:
        raise refusal(code="no-capability", where=pins)

    monkeypatch.setattr(kernel, "switch_off", refuse)

    assert main(["enforce", "--off", "--pins", "/b"]) == 3
    assert "(`/b`): no" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--policy", "x"], ["--audit", "stderr"], ["--lockdown"], ["--ready-fd", "3"]]
)
def test_switching_off_puts_nothing_in_force(
    taken_down: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What else is asked for makes no sense."""
    assert main(["enforce", "--off", *words]) == 2
    assert [] == taken_down
    assert "`--off` puts nothing in force" in capsys.readouterr().err


def test_an_audit_log_that_cannot_be_meant(enforcing: Enforcing, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, before anything is done."""
    assert main(["enforce", "--audit", "printer"]) == 2
    assert [] == enforcing.options
    assert "`printer` is not an audit target" in capsys.readouterr().err
