"""What this host has of all that kernel enforcement needs, and what to do about what it lacks. Changes nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fdstorefs.bpf import syscall
from fdstorefs.bpf.btf import Btf
from fdstorefs.bpf.header_tree import types_header
from fdstorefs.bpf.kernel import missing_capabilities
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.kernel_types import WANTED
from fdstorefs.bpf.loader import LSM, compiler_version
from fdstorefs.bpf.maps import SHARED, create
from fdstorefs.bpf.syscall import BPF_FS_MAGIC, CGROUP2_MAGIC

LSM_LIST = Path("/sys/kernel/security/lsm")
BPF_FS = Path("/sys/fs/bpf")
CGROUPS = Path("/sys/fs/cgroup")
TRIED_HOOK = "bpf_lsm_file_receive"
_LSM_MAC = 27
_ALLOW = bytes((0xB7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0))  # r0 = 0; exit


class Finding(NamedTuple):
    """One thing: whether it is there (None: only root can tell), why that is so, and what to do if it isn't."""

    name: str
    ok: bool | None
    why: str
    advice: str


def probe() -> list[Finding]:
    """A finding for each thing that is needed, what others rest upon first."""
    return [
        _lsm_list(),
        *_kernel_types(),
        _bpf_file_system(),
        _compiler(),
        _capabilities(),
        _cgroups(),
        _map("task storage", "roles", "boot a kernel from 5.11 on"),
        _map("ring buffer", "events", "boot a kernel from 5.8 on"),
        _programs(),
    ]


def _lsm_list() -> Finding:
    name = "bpf among the security modules"
    try:
        modules = LSM_LIST.read_text().strip()
    except OSError as error:
        why = f"`{LSM_LIST}` can't be read: {_why(error)}"
        advice = f"to see it: `mount -t securityfs securityfs {LSM_LIST.parent}`"
        return Finding(name, None, why, advice)
    ok = "bpf" in modules.split(",")
    advice = "" if ok else f"boot with `lsm={modules},bpf` on the kernel's command line"
    return Finding(name, ok, f"in force are {modules}", advice)


def _kernel_types() -> list[Finding]:
    name, hooks = "the kernel's types (BTF)", "hooks for BPF programs"
    try:
        btf = Btf.read()
        types_header(btf, WANTED)
    except KernelError as error:
        return [Finding(name, False, error.message, error.hint)]
    there = btf.function(TRIED_HOOK) is not None
    why = "the kernel was built with them" if there else f"the kernel has no `{TRIED_HOOK}`"
    advice = "" if there else "boot a kernel built with CONFIG_BPF_LSM=y"
    return [
        Finding(name, True, "all that the programs read are there", ""),
        Finding(hooks, there, why, advice),
    ]


def _bpf_file_system() -> Finding:
    name, mount = "a bpf file system", f"mount it: `mount -t bpf bpf {BPF_FS}`"
    ok, why = _is_mounted(BPF_FS, BPF_FS_MAGIC)
    return Finding(name, ok, why, "" if ok else mount)


def _cgroups() -> Finding:
    ok, why = _is_mounted(CGROUPS, CGROUP2_MAGIC)
    advice = "boot with `systemd.unified_cgroup_hierarchy=1`, or mount it: `mount -t cgroup2 cgroup2 /sys/fs/cgroup`"
    return Finding("control groups, version 2", ok, why, "" if ok else advice)


def _is_mounted(path: Path, magic: int) -> tuple[bool, str]:
    try:
        ok = syscall.file_system(str(path)) == magic
    except OSError as error:
        return False, f"`{path}`: {_why(error)}"
    return ok, f"at `{path}`" if ok else f"not at `{path}`"


def _compiler() -> Finding:
    try:
        return Finding("the BPF compiler (bcc)", True, f"version {compiler_version()}", "")
    except KernelError as error:
        return Finding("the BPF compiler (bcc)", False, error.why, error.hint)


def _capabilities() -> Finding:
    missing = missing_capabilities()
    if not missing:
        return Finding("capabilities", True, "this process has all that the enforcer needs", "")
    advice = "run the enforcer as root of the host"
    return Finding("capabilities", False, f"this process lacks {', '.join(missing)}", advice)


def _map(name: str, example: str, advice: str) -> Finding:
    return _attempted(name, lambda: create(SHARED[example]), "the kernel has it", advice)


def _programs() -> Finding:
    name = "programs for security hooks"
    try:
        hook = Btf.read().function(TRIED_HOOK)
    except KernelError as error:
        return Finding(name, False, error.message, error.hint)
    if hook is None:
        return Finding(
            name, False, f"the kernel has no `{TRIED_HOOK}`", "boot a kernel built with CONFIG_BPF_LSM=y"
        )
    advice = "the kernel, or what watches over it, refuses them to root too: see its log, and kernel lockdown"
    attempt = lambda: syscall.program_load(LSM, _ALLOW, attach_kind=_LSM_MAC, attach_btf=hook)  # noqa: E731
    return _attempted(name, attempt, "the kernel took one for a trial", advice)


def _attempted(name: str, attempt: Callable[[], int], success: str, advice: str) -> Finding:
    try:
        os.close(attempt())
    except PermissionError as error:
        if missing_capabilities():
            return Finding(name, None, "only root of the host can tell", "run as root of the host")
        return Finding(name, False, _why(error), advice)
    except OSError as error:
        return Finding(name, False, _why(error), advice)
    return Finding(name, True, success, "")


def _why(error: OSError) -> str:
    number = error.errno or 0
    return f"{os.strerror(number).lower()} ({errno.errorcode.get(number, number)})"
