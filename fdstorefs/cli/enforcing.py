"""Enforcing in this process, and ending what is in force."""

import os
from typing import TYPE_CHECKING

from fdstorefs.cli import serving
from fdstorefs.cli.failure import DENIED, FAILED, Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.bpf.kernel_error import KernelError
    from fdstorefs.enforcer.options import EnforceOptions

_NO_CAPABILITY = "no-capability"


def enforce_options(options: "argparse.Namespace") -> "EnforceOptions":
    """What the enforcer is told. Raises UsageError for an audit log that cannot be meant."""
    from fdstorefs.enforcer.options import EnforceOptions

    return EnforceOptions(
        policies=tuple(map(os.path.abspath, options.policy)),
        socket=os.path.abspath(options.socket),
        pins=os.path.abspath(options.pins),
        audit=serving.audit_options(options),
        lockdown=options.lockdown,
        ready_fd=options.ready_fd,
    )


def require_root() -> None:
    """Raise Failure for another user. Root of a user namespace is found out later."""
    if os.geteuid() != 0:
        raise Failure("only root of the host may do this", hint="use sudo", exit_code=DENIED)


def enforce(options: "EnforceOptions") -> None:
    """Enforce until told to end. Raises Failure, or the StoreError that kept it from starting."""
    import logging

    from fdstorefs.bpf.kernel_error import KernelError
    from fdstorefs.enforcer.enforcer import run
    from fdstorefs.policy.diagnostic import PolicyError

    logging.basicConfig(level=logging.INFO, format="fdstorefs: %(message)s")
    try:
        run(options)
    except PolicyError as error:
        raise serving.refusal(error, "nothing put in force") from error
    except KernelError as error:
        raise _failure(error) from error


def switch_off(pins: str, socket: str) -> str:
    """Take out of force what is pinned, and say what that was. Raises Failure while an enforcer runs."""
    from fdstorefs.bpf.kernel import switch_off as take_down
    from fdstorefs.bpf.kernel_error import KernelError
    from fdstorefs.enforcer.running import is_running, remove_leftover

    if is_running(socket):
        raise Failure(
            f"an enforcer runs (it listens at `{socket}`), and would miss what you take from under it",
            hint="end it first: `systemctl stop fdstorefs-enforcer`",
        )
    try:
        hooks = take_down(pins)
    except KernelError as error:
        raise _failure(error) from error
    # Servers take it for a sign that enforcement is in force, and wait for the enforcer.
    remove_leftover(socket)
    if not hooks:
        return "nothing was in force"
    return f"the kernel enforces nothing any more; until now it did at {', '.join(hooks)}"


def _failure(error: "KernelError") -> Failure:
    code = DENIED if error.code == _NO_CAPABILITY else FAILED
    return Failure(error.message, hint=error.hint, exit_code=code)
