"""Serving an instance in this process."""

from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.server.options import ServeOptions

DEFAULT_MODE = 0o1777


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


def serve_options(mount: str, options: "argparse.Namespace", ready_fd: int | None = None) -> "ServeOptions":
    """What the server is told."""
    from fdstorefs.server.options import ServeOptions

    return ServeOptions(
        mount=mount,
        ready_fd=ready_fd,
        mode=options.mode,
        entries=options.entries,
        entries_per_uid=options.entries_per_uid,
    )


def serve(options: "ServeOptions") -> None:
    """Serve until the instance ends. Raises Failure if it can't be mounted."""
    import logging

    from fdstorefs.server import instance
    from fdstorefs.server.mounting import MountError

    logging.basicConfig(level=logging.INFO, format="fdstorefs: %(message)s")
    try:
        instance.serve(options)
    except MountError as error:
        raise Failure(error.message, hint=error.hint) from error
