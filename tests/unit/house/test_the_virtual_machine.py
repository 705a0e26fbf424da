"""tools/vm says what is wrong before it boots anything, and tests/kernel runs nowhere but in its machines."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel import machine, people
from tests.unit.house.source import REPOSITORY

VM = REPOSITORY / "tools" / "vm"
KERNEL = REPOSITORY / "tools" / "machine" / "kernel"
UNUSABLE = 125

FAILING_APT = (
    '#!/bin/sh\nif [ "$1" = indextargets ]; then echo mirror; else echo tried >>"$TRIES"; exit 100; fi\n'
)
"""Knows a mirror, and gets nothing from it."""


def run(*argv: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command to its end."""
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "which kernel?"),
        (["6.6", "true"], "no kernel `6.6`: there are 6.1, 6.12 and 7.2"),
        (["6x1", "true"], "no kernel `6x1`"),
        (["6.12"], "no command for kernel 6.12 to run"),
        (["--systemd"], "which kernel?"),
        (["--limit"], "--limit takes a number of seconds, not ``"),
        (["--limit", "soon", "6.1", "true"], "--limit takes a number of seconds, not `soon`"),
        (["--memory", "much", "6.1", "true"], "--memory takes a size such as 1G, not `much`"),
        (["--fast", "6.1", "true"], "unknown option `--fast`"),
    ],
)
def test_arguments_are_checked_first(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    """The complaint names what was given; nothing is downloaded."""
    done = run(VM, *arguments, XDG_CACHE_HOME=str(tmp_path))

    assert UNUSABLE == done.returncode
    assert done.stderr.startswith(f"vm: {complaint}")
    assert "usage: tools/vm" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_half_a_download_is_never_used(tmp_path: Path) -> None:
    """It is tried three times; then it says where apt's own words are, and there is no kernel."""
    programs, cache, tries = tmp_path / "bin", tmp_path / "cache", tmp_path / "tries"
    programs.mkdir()
    for name, text in (("apt-get", FAILING_APT), ("sleep", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"

    done = run(KERNEL, "6.12", PATH=path, XDG_CACHE_HOME=str(cache), TRIES=str(tries))

    kernels = cache / "fdstorefs" / "kernels"
    assert (UNUSABLE, "") == (done.returncode, done.stdout)
    assert 3 == len(tries.read_text().splitlines())
    assert f"could not download kernel 6.12: see above, and all of it in {kernels}" in done.stderr
    assert not (kernels / "trixie-6.12").exists()


def test_no_file_names_a_mirror() -> None:
    """Where packages come from is this machine's affair."""
    scripts = [VM, *(REPOSITORY / "tools" / "machine").iterdir()]

    assert len(scripts) >= 5
    assert [] == [script.name for script in scripts if "://" in script.read_text()]


def test_a_variable_is_no_proof(tmp_path: Path) -> None:
    """Without BPF LSM this isn't the machine, whatever the environment says."""
    lsms = tmp_path / "lsm"
    lsms.write_text("capability,yama\n")

    refusal = machine.why_not(lsms, "6.12", 0)

    assert refusal is not None
    assert "BPF LSM is not active" in refusal
    assert "says capability,yama" in refusal
    assert "make test-kernel" in refusal


@pytest.mark.parametrize(
    ("kernel", "user", "complaint"),
    [("", 0, "in a virtual machine only"), ("6.12", 1000, "the virtual machine's root")],
)
def test_bpf_lsm_is_no_proof(tmp_path: Path, kernel: str, user: int, complaint: str) -> None:
    """Somebody's own kernel may have it, and is to be left alone."""
    lsms = tmp_path / "lsm"
    lsms.write_text("capability,bpf\n")

    assert complaint in str(machine.why_not(lsms, kernel, user))
    assert machine.why_not(lsms, "6.12", 0) is None


def test_people_become_known_once(tmp_path: Path) -> None:
    """The machine's user database has each of them in one line, however often that is asked for."""
    for name in ("passwd", "group"):
        (tmp_path / name).write_text("root:x:0\n")

    people.make_known(tmp_path)
    people.make_known(tmp_path)

    passwd = (tmp_path / "passwd").read_text().splitlines()
    assert ["root", "alice", "bob", "mallory"] == [line.split(":")[0] for line in passwd]
