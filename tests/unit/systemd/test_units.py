"""The units: systemd understands them, they confine what they start, and start what there is."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from fdstorefs.cli.parsing import parser_of
from fdstorefs.cli.verbs import VERBS
from tests.unit.house.source import REPOSITORY

UNITS = sorted((REPOSITORY / "systemd").rglob("*.service"))
ENFORCER = REPOSITORY / "systemd" / "fdstorefs-enforcer.service"
CAPABILITIES = {"CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}
ENOUGH = 3.5
"""What `systemd-analyze security` calls exposure, at most: of the enforcer, which is root with CAP_SYS_ADMIN."""

NEWER = {"FileDescriptorStorePreserve": 254}
"""What a version of systemd was the first to know; older ones pass over it, and say so."""

OWN_MOUNTS = re.compile(
    r"Private(Tmp|Devices|Mounts|Users|IPC)|Protect(?!Clock|Proc)|ReadOnly|Inaccessible|Bind|Root"
)
"""What gives a service a mount namespace of its own."""

LIFE = (
    *("Type", "NotifyAccess", "ExecStartPre", "ExecStart"),
    *("Restart", "RestartPreventExitStatus", "RestartSec", "StartLimitIntervalSec", "ExitType"),
    *("FileDescriptorStoreMax", "FileDescriptorStorePreserve"),
)
"""Settings that say when it starts and ends, and what outlives it: not what it may do."""

by_each = pytest.mark.parametrize("unit", UNITS, ids=[each.name for each in UNITS])


def settings(unit: Path) -> list[tuple[str, str]]:
    """What a unit sets, in its order."""
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def analyze(*arguments: str, runtime: Path) -> "subprocess.CompletedProcess[str]":
    """systemd-analyze to its end. Where it is missing this fails: `make setup` installs it."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def complaints(unit: Path, runtime: Path) -> list[str]:
    """What systemd does not understand of a unit; an instance of it where it is a template."""
    copy = runtime / unit.name.replace("@.", "@run-fdstore.")
    shutil.copy(unit, copy)
    manager = "--user" if unit.parent.name == "user" else "--system"
    done = analyze(manager, "--man=no", "verify", str(copy), runtime=runtime)
    newer = [f"Unknown key '{key}'" for key, since in NEWER.items() if systemd_here() < since]
    lines = [line for line in done.stderr.splitlines() if copy.name in line]
    return [line for line in lines if not any(key in line for key in newer)]


def systemd_here() -> int:
    """The version that is installed here."""
    done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[1])


@by_each
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    """There is nothing in it that systemd passes over, as it does with what it does not know, if it is new enough."""
    assert [] == complaints(unit, tmp_path)


def test_what_systemd_does_not_understand_is_found(tmp_path: Path) -> None:
    """A misspelt setting is."""
    wrong = tmp_path / "wrong" / "wrong.service"
    wrong.parent.mkdir()
    wrong.write_text(ENFORCER.read_text().replace("NoNewPrivileges", "NoNewPriviliges"))

    assert ["NoNewPriviliges"] == [
        name for line in complaints(wrong, tmp_path) for name in re.findall(r"NoNewPriv\w+", line)
    ]


def command_lines(unit: Path) -> list[list[str]]:
    """The command lines of `fdstorefs` in a unit, as systemd makes them."""
    given = dict(shlex.split(value)[0].split("=", 1) for key, value in settings(unit) if key == "Environment")
    stands_for = {f"${name}": text.split() for name, text in given.items()}
    prefix = ["/usr/bin/env", "fdstorefs"]
    lines = [value.split() for key, value in settings(unit) if key.startswith("Exec")]
    return [
        [word for each in line[2:] for word in stands_for.get(each, [each])]
        for line in lines
        if line[:2] == prefix
    ]


@by_each
def test_it_starts_what_there_is(unit: Path) -> None:
    """A verb of the command with options that it has."""
    lines = command_lines(unit)

    assert lines
    for line in lines:
        words = 2 if " ".join(line[:2]) in VERBS else 1
        parser_of(" ".join(line[:words])).parse_args(line[words:])  # raises UsageError


def test_the_enforcer_is_confined(tmp_path: Path) -> None:
    """As far as its work lets it be; it has the capabilities that it needs and no others."""
    found = dict(settings(ENFORCER))
    done = analyze(
        "security", "--offline=true", f"--threshold={ENOUGH * 10:.0f}", str(ENFORCER), runtime=tmp_path
    )

    assert CAPABILITIES == set(found["CapabilityBoundingSet"].split())
    assert 0 == done.returncode, done.stdout


def test_instances_have_no_mounts_of_their_own() -> None:
    """Nobody else would see what they serve."""
    for unit in UNITS:
        if unit != ENFORCER:
            assert [] == [key for key, _ in settings(unit) if OWN_MOUNTS.match(key)], unit
    assert [] != [key for key, _ in settings(ENFORCER) if OWN_MOUNTS.match(key)]


def test_a_users_unit_lets_fusermount_mount() -> None:
    """It is set-user-ID, which a user's service may not forbid, by implication either."""
    unit = REPOSITORY / "systemd" / "user" / "fdstorefs.service"

    assert {"Description", "Documentation", "Environment", "WantedBy", *LIFE} >= {
        key for key, _ in settings(unit)
    }


def test_they_are_all_installed() -> None:
    """Each at its place, by the wheel."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    where = {"user": "lib/systemd/user", "systemd": "lib/systemd/system"}

    assert {
        str(unit.relative_to(REPOSITORY)): f"{where[unit.parent.name]}/{unit.name}" for unit in UNITS
    } == {source: target for source, target in shared.items() if source.startswith("systemd/")}
