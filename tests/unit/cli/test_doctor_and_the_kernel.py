"""What `doctor` says about kernel enforcement: what can be, and what is."""

import json
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.bpf import pins, probe
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.cli.checkup import report
from fdstorefs.cli.commands import enforce
from fdstorefs.cli.enforcement_checks import in_force, kernel
from fdstorefs.cli.finding import MISSING, OK, UNKNOWN, Finding
from fdstorefs.cli.main import main
from tests.unit.cli.fake_enforcer import STATUS, FakeEnforcer

PINS = "/b"
HOOKS = ("file_receive", "file_fcntl")


@pytest.fixture
def nobody(tmp_path: Path) -> str:
    """A socket that isn't there."""
    return str(tmp_path / "none.sock")


def pinned(monkeypatch: pytest.MonkeyPatch, found: pins.Pinned | Exception | None) -> None:
    """Have this found pinned at PINS."""

    def look(path: str) -> pins.Pinned | None:
        assert PINS == path
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(pins, "pinned", look)


def test_what_the_kernel_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of whoever looked; only what is missing has advice."""
    found = [
        probe.Finding("BTF", True, "it is there", "run another kernel"),
        probe.Finding("BPF LSM", False, "the security modules here are a, b", "boot with lsm=a,b,bpf"),
        probe.Finding("loading", None, "only root can tell", "as root: `fdstorefs doctor`"),
    ]
    monkeypatch.setattr(probe, "probe", lambda: found)
    what_for = "enforcing policy in the kernel"

    assert [
        Finding("BTF", OK, "it is there", what_for, None),
        Finding("BPF LSM", MISSING, "the security modules here are a, b", what_for, "boot with lsm=a,b,bpf"),
        Finding("loading", UNKNOWN, "only root can tell", what_for, "as root: `fdstorefs doctor`"),
    ] == kernel()


def test_this_machine_is_looked_at() -> None:
    """Whatever it can do, each thing has a name and words, and advice where it is missing."""
    found = kernel()

    assert len({finding.check for finding in found}) == len(found) > 3
    assert all(finding.found for finding in found)
    assert all((finding.advice is None) == (finding.state == OK) for finding in found)


def test_an_enforcer_that_runs(fake_enforcer: FakeEnforcer) -> None:
    """A line of what it has in force."""
    finding = in_force(fake_enforcer.path, PINS)

    assert OK == finding.state
    assert "pid 70, fdstorefs 0.1.0, web, trial, generation 4, 3 instances" == finding.found


def test_an_enforcer_that_enforces_nothing(fake_enforcer: FakeEnforcer) -> None:
    """It runs, which is not what matters."""
    fake_enforcer.replies["Status"] = {"parameters": {**STATUS, "hooks": []}}
    finding = in_force(fake_enforcer.path, PINS)

    assert MISSING == finding.state
    assert finding.found.startswith("runs, but enforces nothing: pid 70")


def test_an_enforcer_that_talks_nonsense(fake_enforcer: FakeEnforcer) -> None:
    """What it said is no answer, and is not taken for one."""
    fake_enforcer.replies["Status"] = b"{}\0"
    finding = in_force(fake_enforcer.path, PINS)

    assert MISSING == finding.state
    assert "an answer that makes no sense" in finding.found


def test_none_and_nothing_pinned(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to start one."""
    pinned(monkeypatch, None)
    finding = in_force(nobody, PINS)

    assert (MISSING, "none runs, and the kernel enforces nothing") == (finding.state, finding.found)
    assert "`systemctl enable --now fdstorefs-enforcer`" in (finding.advice or "")


@pytest.mark.parametrize(
    ("generation", "lockdown", "said"),
    [
        (4, False, "generation 4, at "),
        (4, True, "generation 4, lockdown, at "),
        (None, None, "at "),
    ],
)
def test_none_and_something_pinned(
    nobody: str,
    monkeypatch: pytest.MonkeyPatch,
    generation: int | None,
    lockdown: bool | None,
    said: str,
) -> None:
    """It is in force, and nothing new can be guarded. It may keep us from looking closer."""
    pinned(monkeypatch, pins.Pinned(1, True, HOOKS, generation, lockdown))
    finding = in_force(nobody, PINS)

    assert MISSING == finding.state
    expected = f"none runs, but what one has pinned is in force: {said}file_receive, file_fcntl"
    assert expected == finding.found
    assert "`fdstorefs enforce --off` ends what is in force" in (finding.advice or "")


def test_none_and_something_pinned_by_another_version(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one could neither use nor end it."""
    pinned(monkeypatch, pins.Pinned(2, False, HOOKS, None, None))
    finding = in_force(nobody, PINS)

    assert MISSING == finding.state
    assert (
        "none runs, and what is pinned is of another fdstorefs: version 2 of its kernel side" == finding.found
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "no"), "none runs; only root can tell whether what one has pinned is in force"),
        (
            KernelError("pin", "cannot look", where=PINS, why="no", hint="so"),
            "none runs; cannot look (`/b`): no",
        ),
    ],
)
def test_none_and_no_way_to_tell(
    nobody: str, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """Nothing is claimed."""
    pinned(monkeypatch, error)
    finding = in_force(nobody, PINS)

    assert (UNKNOWN, said) == (finding.state, finding.found)
    assert finding.advice


def test_what_is_not_known_comes_with_advice() -> None:
    """As what is missing does."""
    expected = ["unknown  enforcer  perhaps", "         for: enforcing", "         do:  be root"]

    assert expected == report([Finding("enforcer", UNKNOWN, "perhaps", "enforcing", "be root")])


def test_all_of_it_as_json(
    fake_enforcer: FakeEnforcer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel's findings, the enforcer's, then the instance's."""
    monkeypatch.setattr(probe, "probe", lambda: [probe.Finding("BTF", True, "there", "")])
    main(["doctor", "--json", "--at", "/nowhere", "--enforcer", fake_enforcer.path, "--pins", PINS])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)

    assert ["BTF", "enforcer", "instance"] == [finding["check"] for finding in found[-3:]]
    assert all(set(Finding._fields) == set(finding) for finding in found)


def test_help_of_enforce_begins_with_the_doctor() -> None:
    """Whoever wants to enforce learns first what is missing."""
    assert enforce.EXAMPLES.lstrip().startswith("fdstorefs doctor ")
