"""What tells the tests' virtual machine from any other."""

import os
from pathlib import Path

LSMS = Path("/sys/kernel/security/lsm")
KERNEL = "FDSTOREFS_KERNEL"
HOW = "run `make test-kernel`, or `tools/vm 6.12 .venv/bin/python -m pytest tests/kernel`"


def why_not(lsms: Path = LSMS, kernel: str | None = None, user: int | None = None) -> str | None:
    """Why these tests can't run here, and what to do; None where they can."""
    if not (os.environ.get(KERNEL) if kernel is None else kernel):
        return f"tests/kernel changes what the kernel enforces, so it runs in a virtual machine only: {HOW}"
    if (os.geteuid() if user is None else user) != 0:
        return f"tests/kernel needs the virtual machine's root: {HOW}"
    active = active_lsms(lsms)
    if "bpf" not in active:
        said = ",".join(active) or "nothing"
        return f"BPF LSM is not active: `{lsms}` says {said}, so this isn't the tests' virtual machine: {HOW}"
    return None


def active_lsms(lsms: Path = LSMS) -> list[str]:
    """The kernel's security modules in their order; none where securityfs isn't mounted."""
    return lsms.read_text().strip().split(",") if lsms.exists() else []
