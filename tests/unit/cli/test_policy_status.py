"""What `policy status` says of an instance."""

import json
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace

import pytest

from fdstorefs.cli.commands import policy_status
from fdstorefs.cli.main import main
from fdstorefs.client import store
from tests.unit.cli.conftest import NOON
from tests.unit.cli.test_what_people_read import STATUS

pytestmark = pytest.mark.usefixtures("utc")

IN_FORCE = {
    "names": ["web", "base"],
    "files": ["/p/web.yaml", "/p/a\nb.yaml"],
    "hash": "5c",
    "generation": 3,
    "mode": "mixed",
    "rules": 7,
    "loaded": NOON,
    "applies": True,
    "warnings": 2,
    "rejected": {"when": NOON, "message": "/p/web.yaml:3:5: error"},
}
AUDIT = [{"target": "syslog", "written": 7, "lost": 0}, {"target": "file:/a", "written": 5, "lost": 2}]


def test_policies_in_force() -> None:
    """Everything there is to know, in a line each."""
    expected = [
        "instance        /run/fdstore",
        "policies        web, base",
        "file            /p/web.yaml",
        "file            /p/a\\nb.yaml",
        "mode            mixed: some policies only monitor",
        "rules           7",
        "generation      3",
        "in force since  2023-11-15 12:00:00",
        "hash            5c",
        "warnings        2; `fdstorefs policy check` tells them",
        "rejected        a change of 2023-11-15 12:00:00: /p/web.yaml:3:5: error",
        "audit           syslog: 7 written",
        "audit           file:/a: 5 written, 2 lost",
    ]

    assert expected == policy_status.lines(STATUS._replace(policy_status=IN_FORCE, audit=AUDIT))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "default: none was given, so an entry is its stasher's alone"),
        (
            {"files": ["/p/web.yaml"], "applies": False},
            "default: none of those given is for this instance, so an entry is its stasher's alone",
        ),
    ],
)
def test_without_a_policy(changes: dict[str, object], expected: str) -> None:
    """Says what holds instead."""
    policy = {**(STATUS.policy_status or {}), **changes}

    assert f"policies        {expected}" == policy_status.lines(STATUS._replace(policy_status=policy))[1]


def test_an_instance_that_knows_no_policies() -> None:
    """One that runs an older version."""
    expected = [
        "instance  /run/fdstore",
        "policies  none was given, so an entry is its stasher's alone",
        "audit     none",
    ]

    assert expected == policy_status.lines(STATUS._replace(policy=None, policy_status=None))


def test_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the instance says, under a name for scripts."""
    status = STATUS._replace(policy_status=IN_FORCE, audit=AUDIT)

    def connect(at: str | None) -> AbstractContextManager[SimpleNamespace]:
        return nullcontext(SimpleNamespace(status=lambda: status))

    monkeypatch.setattr(store, "connect", connect)

    assert main(["policy", "status", "--json"]) == 0
    expected = {"mount": "/run/fdstore", "policy": IN_FORCE, "audit": AUDIT}
    assert expected == json.loads(capsys.readouterr().out)
