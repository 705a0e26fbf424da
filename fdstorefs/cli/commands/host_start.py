"""`fdstorefs host start`: an instance for a container."""

from typing import TYPE_CHECKING

from fdstorefs.cli import hosting

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs host start --pid 4711              at /run/fdstore in the container of process 4711
  fdstorefs host start --pid $(podman inspect -f '{{.State.Pid}}' web) /run/store
  fdstorefs host start                         from within, if the service's socket is in the container

Returns when the instance serves; one that does already is left as it is.
Exit codes: 0 it serves, 1 it does not come up, 3 not your container, 5 no service.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.parsing import count

    hosting.add_container(parser)
    parser.add_argument("--entries", type=count, metavar="N", help="hold no more than N entries and boxes")
    parser.add_argument("--entries-per-uid", type=count, metavar="N", help="and no more than N of one user")
    hosting.add_socket(parser)
    parser.add_json("what was started")


def run(options: "argparse.Namespace") -> int:
    """Ask for it, and wait until it serves."""
    from fdstorefs.client import host

    started = host.start(
        hosting.pidfd_of(options.pid),
        hosting.mount_of(options),
        hosting.socket_of(options),
        options.entries,
        options.entries_per_uid,
    )
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(hosting.as_json(started)))
    return 0
