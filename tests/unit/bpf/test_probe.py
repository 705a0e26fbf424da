"""A finding for each thing that kernel enforcement needs, true of the host, with what to do where it is missing."""

import errno
import os
from pathlib import Path

import pytest

from fdstorefs.bpf import kernel, probe, syscall
from fdstorefs.bpf.probe import Finding

NAMES = [
    "bpf among the security modules",
    "the kernel's types (BTF)",
    "hooks for BPF programs",
    "a bpf file system",
    "the BPF compiler (bcc)",
    "capabilities",
    "control groups, version 2",
    "task storage",
    "ring buffer",
    "programs for security hooks",
]


def found(name: str) -> Finding:
    """What the probe finds of one thing."""
    (finding,) = (finding for finding in probe.probe() if finding.name == name)
    return finding


def refusal(number: int) -> OSError:
    """A system call's error."""
    return OSError(number, os.strerror(number))


def test_findings() -> None:
    """There is one for each thing, and whatever is not there comes with advice."""
    findings = probe.probe()

    assert (NAMES, []) == (
        [finding.name for finding in findings],
        [finding.name for finding in findings if not finding.ok and not finding.advice],
    )


def test_nothing_is_left_open() -> None:
    """What was tried is given back."""
    probe.probe()
    before = len(os.listdir("/proc/self/fd"))
    probe.probe()

    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("modules", "ok", "advice"),
    [
        ("lockdown,capability,bpf\n", True, ""),
        ("capability,yama\n", False, "boot with `lsm=capability,yama,bpf` on the kernel's command line"),
        (
            "capability,bpfilter\n",
            False,
            "boot with `lsm=capability,bpfilter,bpf` on the kernel's command line",
        ),
    ],
)
def test_security_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: str, ok: bool, advice: str
) -> None:
    """The kernel's command line is given whole, as it has to be."""
    listed = tmp_path / "lsm"
    listed.write_text(modules)
    monkeypatch.setattr(probe, "LSM_LIST", listed)
    finding = found("bpf among the security modules")

    assert (ok, advice) == (finding.ok, finding.advice)


def test_a_list_that_cant_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is claimed."""
    monkeypatch.setattr(probe, "LSM_LIST", tmp_path / "lsm")

    assert found("bpf among the security modules").ok is None


def test_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is there but on another file system will not do."""
    monkeypatch.setattr(probe, "BPF_FS", tmp_path)
    finding = found("a bpf file system")

    assert (False, f"mount it: `mount -t bpf bpf {tmp_path}`") == (finding.ok, finding.advice)


def test_no_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks them is told which, and that only root can tell what has to be tried."""

    def refuse(*_: object, **__: object) -> int:
        raise refusal(errno.EPERM)

    monkeypatch.setattr(syscall, "effective_capabilities", lambda: 1 << kernel.CAPABILITIES["CAP_BPF"])
    monkeypatch.setattr(syscall, "program_load", refuse)
    monkeypatch.setattr(syscall, "map_create", refuse)

    assert [
        "this process lacks CAP_SYS_ADMIN, CAP_PERFMON",
        "only root of the host can tell",
        "only root of the host can tell",
    ] == [found(name).why for name in ("capabilities", "ring buffer", "programs for security hooks")]


@pytest.mark.parametrize(
    ("number", "why"),
    [(errno.EPERM, "operation not permitted (EPERM)"), (errno.EINVAL, "invalid argument (EINVAL)")],
)
def test_programs_are_tried(monkeypatch: pytest.MonkeyPatch, number: int, why: str) -> None:
    """The kernel's own answer is given, exactly."""

    def refuse(*_: object, **__: object) -> int:
        raise refusal(number)

    monkeypatch.setattr(syscall, "effective_capabilities", lambda: (1 << 64) - 1)
    monkeypatch.setattr(syscall, "program_load", refuse)
    finding = found("programs for security hooks")

    assert (False, why) == (finding.ok, finding.why)
