"""`fdstorefs host stop`: the end of a container's instance."""

from typing import TYPE_CHECKING

from fdstorefs.cli import hosting

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs host stop --pid 4711               the one at /run/fdstore in the container of process 4711
  fdstorefs host stop --pid 4711 /run/store

What it holds is lost. It ends by itself when the container does.
Exit codes: 0 it has ended, 3 not your container, 5 no such instance, or no service.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    hosting.add_container(parser)
    hosting.add_socket(parser)


def run(options: "argparse.Namespace") -> int:
    """Ask for its end, and wait for it."""
    from fdstorefs.client import host

    host.stop(hosting.pidfd_of(options.pid), hosting.mount_of(options), hosting.socket_of(options))
    return 0
