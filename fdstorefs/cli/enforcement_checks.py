"""What `doctor` looks at for kernel enforcement: what this kernel can do, and what is in force now."""

from typing import TYPE_CHECKING

from fdstorefs.cli.finding import MISSING, OK, UNKNOWN, Finding
from fdstorefs.client import enforcer
from fdstorefs.errors import StoreError

if TYPE_CHECKING:
    from fdstorefs.bpf.pins import Pinned

_WHAT_FOR = "enforcing policy in the kernel"
_NAME = "enforcer"
_START = "as root: `systemctl enable --now fdstorefs-enforcer`, or `fdstorefs enforce`"
_AS_ROOT = "as root: `fdstorefs doctor`"


def kernel() -> list[Finding]:
    """What the kernel and this installation can do."""
    from fdstorefs.bpf.probe import probe

    return [
        Finding(each.name, _state(each.ok), each.why, _WHAT_FOR, None if each.ok else each.advice)
        for each in probe()
    ]


def _state(is_there: bool | None) -> str:
    """None: only root can tell."""
    return UNKNOWN if is_there is None else OK if is_there else MISSING


def in_force(socket: str, pins: str) -> Finding:
    """Whether an enforcer runs; and if none does, whether what one has pinned is in force without it."""
    from fdstorefs.cli.in_force import summary

    try:
        status = enforcer.status(socket)
    except enforcer.NoEnforcer:
        return _without_enforcer(pins)
    except StoreError as error:
        return Finding(_NAME, MISSING, error.message, _WHAT_FOR, error.hint)
    if not status.hooks:
        return Finding(_NAME, MISSING, f"runs, but enforces nothing: {summary(status)}", _WHAT_FOR, _START)
    return Finding(_NAME, OK, summary(status), _WHAT_FOR, None)


def _without_enforcer(pins: str) -> Finding:
    from fdstorefs.bpf.kernel_error import KernelError
    from fdstorefs.bpf.pins import pinned

    try:
        found = pinned(pins)
    except PermissionError:
        only_root = "none runs; only root can tell whether what one has pinned is in force"
        return Finding(_NAME, UNKNOWN, only_root, _WHAT_FOR, _AS_ROOT)
    except KernelError as error:
        return Finding(_NAME, UNKNOWN, f"none runs; {error.message}", _WHAT_FOR, error.hint)
    if found is None:
        return Finding(_NAME, MISSING, "none runs, and the kernel enforces nothing", _WHAT_FOR, _START)
    return _left_behind(found) if found.is_ours else _of_another_version(found)


def _left_behind(found: "Pinned") -> Finding:
    """Nobody is less protected by it, but nothing new can be: neither instances nor entries."""
    which = "" if found.generation is None else f"generation {found.generation}, "
    lockdown = "lockdown, " if found.lockdown else ""
    hooks = ", ".join(found.hooks)
    return Finding(
        _NAME,
        MISSING,
        f"none runs, but what one has pinned is in force: {which}{lockdown}at {hooks}",
        "guarding new instances and new entries, and changes of policy",
        f"{_START}; `fdstorefs enforce --off` ends what is in force",
    )


def _of_another_version(found: "Pinned") -> Finding:
    return Finding(
        _NAME,
        MISSING,
        f"none runs, and what is pinned is of another fdstorefs: version {found.version} of its kernel side",
        _WHAT_FOR,
        "start the enforcer of that fdstorefs, or end what is in force with its `fdstorefs enforce --off`",
    )
