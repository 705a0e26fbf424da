"""Serving an instance in this process."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure, UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.audit.options import AuditOptions
    from fdstorefs.cli.parsing import Parser
    from fdstorefs.policy.diagnostic import Diagnostic, PolicyError
    from fdstorefs.server.options import ServeOptions

DEFAULT_MODE = 0o1777
ENFORCEMENT = ("auto", "kernel", "daemon")


def add_limits(parser: "Parser") -> None:
    """Add the options that say how to serve."""
    from fdstorefs.cli.parsing import count, octal_mode

    parser.add_argument(
        "--mode",
        type=octal_mode,
        default=DEFAULT_MODE,
        metavar="OCTAL",
        help=f"permission bits of the instance's root (default: {DEFAULT_MODE:o})",
    )
    parser.add_argument("--entries", type=count, metavar="N", help="hold no more than N entries and boxes")
    parser.add_argument("--entries-per-uid", type=count, metavar="N", help="and no more than N of one user")
    parser.add_argument(
        "--entries-per-box", type=count, metavar="N", help="and no more than N in any one box"
    )
    parser.add_argument(
        "--no-keeper",
        dest="keeper",
        action="store_false",
        help="start no process that keeps a copy of everything: what is stashed is lost with the server",
    )


def add_enforcement(parser: "Parser") -> None:
    """Add the options that say which policies are in force, by whom, and where the audit log goes."""
    add_policies_and_audit(parser)
    parser.add_argument(
        "--enforcement",
        choices=ENFORCEMENT,
        default="auto",
        metavar="WHO",
        help="`kernel`: serve only while the host's enforcer has the kernel guard what is stored; `daemon`: the server "
        "alone decides; `auto`: the kernel if an enforcer answers at the start, else the server (default: auto)",
    )
    parser.add_enforcer()


def add_policies_and_audit(parser: "Parser", without: str = "what somebody stashed is his alone") -> None:
    """Add the options that say which policies are in force, `without` any what holds, and where the audit log goes."""
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="FILE|DIR",
        help="put this policy in force, or all `*.yaml` in this directory, and keep up with changes; may be given "
        f"again (default: {without})",
    )
    parser.add_argument(
        "--audit",
        action="append",
        default=[],
        metavar="TARGET",
        help="keep an audit log: `file:PATH`, `stderr`, `journald`, `syslog`; may be given again (default: `none`)",
    )
    parser.add_argument(
        "--audit-fsync",
        metavar="WHEN",
        default="interval:1",
        help="when a file of that log is told to disk: `never`, `interval:SECONDS`, `always` (default: interval:1)",
    )


def serve_options(mount: str, options: "argparse.Namespace", ready_fd: int | None = None) -> "ServeOptions":
    """What the server is told. Raises UsageError for an audit log that cannot be meant."""
    from fdstorefs.server.options import ServeOptions

    return ServeOptions(
        mount=mount,
        ready_fd=ready_fd,
        mode=options.mode,
        entries=options.entries,
        entries_per_uid=options.entries_per_uid,
        entries_per_box=options.entries_per_box,
        policies=tuple(map(os.path.abspath, options.policy)),
        audit=audit_options(options),
        enforcement=options.enforcement,
        enforcer_socket=os.path.abspath(options.enforcer),
        keeper=options.keeper,
    )


def audit_options(options: "argparse.Namespace") -> "AuditOptions":
    """What `--audit` and `--audit-fsync` ask for. Raises UsageError."""
    from fdstorefs.audit.options import AuditOptions, parse_fsync
    from fdstorefs.audit.target import parse_targets
    from fdstorefs.errors import InvalidArgument

    try:
        return AuditOptions(parse_targets(options.audit), parse_fsync(options.audit_fsync))
    except InvalidArgument as error:
        raise UsageError(error.message, hint=error.hint) from error


def check_policies(options: "ServeOptions") -> None:
    """Say what is wrong with the policies while somebody reads it. Raises Failure for errors.

    The server, which looks again, may have nobody to tell; and in a user namespace it can't tell who owns a file.
    """
    from fdstorefs.policy.diagnostic import PolicyError
    from fdstorefs.server.enforcement.loading import checked

    if not options.policies:
        return
    try:
        _, _, warnings = checked(options.policies)
    except PolicyError as error:
        raise refusal(error, "not served") from error
    show(warnings)


def serve(options: "ServeOptions") -> int:
    """Serve until the instance ends, under a keeper unless told otherwise, and return the exit code.

    Raises Failure if it can't be mounted or its policies can't be used; a keeper's server reports that itself.
    """
    if options.keeper:
        from fdstorefs.cli.keeping import keep

        return keep(options)
    serve_alone(options)
    return 0


def serve_alone(options: "ServeOptions") -> None:
    """Serve in this process, and keep nothing. Raises Failure."""
    shut(options)
    from fdstorefs.server import instance

    run_server(lambda: instance.serve(options))


def shut(options: "ServeOptions") -> None:
    """Let nobody look into this process, if the kernel may have to guard it: the sooner, the fewer have by then."""
    if options.enforcement != "daemon":
        from fdstorefs.host.syscalls import set_dumpable

        set_dumpable(False)


def run_server(server: Callable[[], None]) -> None:
    """Run a server; what it raises comes out as Failure, and its log on standard error."""
    import logging

    from fdstorefs.audit.opening import AuditError
    from fdstorefs.policy.diagnostic import PolicyError
    from fdstorefs.server.mounting import MountError

    logging.basicConfig(level=logging.INFO, format="fdstorefs: %(message)s")
    try:
        server()
    except PolicyError as error:
        raise refusal(error, "not served") from error
    except (MountError, AuditError) as error:
        raise Failure(error.message, hint=error.hint) from error


def refusal(error: "PolicyError", outcome: str) -> Failure:
    """Show what is wrong with the policies, and make a failure of it."""
    from fdstorefs.server.enforcement.keeping import in_one_line

    show(error.diagnostics)
    return Failure(
        f"{outcome}, for there are errors in the policies: {in_one_line(error)}",
        hint="`fdstorefs policy check` finds them without putting anything in force",
    )


def show(diagnostics: "Sequence[Diagnostic]") -> None:
    """Print errors and warnings."""
    from fdstorefs.policy.diagnostic import render_all

    if diagnostics:
        print(render_all(diagnostics), file=sys.stderr, flush=True)
