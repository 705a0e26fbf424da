"""The service for containers in this process, and asking it for something."""

import os
from typing import TYPE_CHECKING

from fdstorefs.cli import serving
from fdstorefs.cli.failure import Failure, UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.host import Started
    from fdstorefs.server.options import ServeOptions


def add_socket(parser: "Parser", what: str = "ask the service that listens there") -> None:
    """Add `--socket`."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help=f"{what} (default: /run/fdstorefs/host.sock; if you are not root, "
        "$XDG_RUNTIME_DIR/fdstorefs/host.sock)",
    )


def add_container(parser: "Parser") -> None:
    """Add what says which container, and where in it."""
    from fdstorefs.cli.parsing import count

    parser.add_argument(
        "--pid",
        type=count,
        metavar="PID",
        help="the container that this process is in (default: the one that you are in)",
    )
    parser.add_argument(
        "mount",
        nargs="?",
        metavar="MOUNT",
        help="where it is mounted there: a directory, made if need be (default: /run/fdstore)",
    )


def socket_of(options: "argparse.Namespace") -> str:
    """Where the service is."""
    from fdstorefs.interface.host import own_socket

    return os.path.abspath(options.socket) if options.socket is not None else own_socket()


def pidfd_of(pid: int | None) -> int | None:
    """A process, held; None for ourselves. Raises Failure."""
    if pid is None:
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise Failure(f"there is no process {pid}") from None


def mount_of(options: "argparse.Namespace") -> str | None:
    """The mount point, which no directory of ours has a say in. Raises UsageError."""
    mount: str | None = options.mount
    if mount is not None and not mount.startswith("/"):
        raise UsageError(f"`{mount}` is not an absolute path", hint="as it is in the container")
    return mount


def serve(options: "argparse.Namespace") -> None:
    """Serve until told to end. Raises Failure, or the StoreError that kept it from starting."""
    from fdstorefs.containers.scouting import scout

    executed = scout()  # before all else is loaded

    import logging

    from fdstorefs.containers.host import run
    from fdstorefs.containers.options import HostOptions

    logging.basicConfig(level=logging.INFO, format="fdstorefs: %(message)s")
    told = HostOptions(_for_each(options), socket_of(options), options.ready_fd)
    serving.check_policies(told.serve)
    run(told, executed)


def _for_each(options: "argparse.Namespace") -> "ServeOptions":
    from fdstorefs.server.options import ServeOptions

    audit = serving.audit_options(options)
    if os.geteuid() == 0 and any(target.kind == "file" for target in audit.targets):
        raise UsageError(
            "an instance has the rights of its container's root, who may not write a file of root's",
            hint="`--audit journald` keeps the log of all instances in one place",
        )
    return ServeOptions(
        mount="",
        mode=options.mode,
        entries=options.entries,
        entries_per_uid=options.entries_per_uid,
        policies=tuple(map(os.path.abspath, options.policy)),
        audit=audit,
        enforcement=options.enforcement,
        enforcer_socket=os.path.abspath(options.enforcer),
    )


def as_json(instance: "Started") -> dict[str, object]:
    """An instance as `--json` prints it."""
    return instance._asdict()
