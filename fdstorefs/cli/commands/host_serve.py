"""`fdstorefs host serve`: the service that starts instances for containers."""

from typing import TYPE_CHECKING

from fdstorefs.cli import hosting, serving

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs host serve                         for all containers of the host, as root
  fdstorefs host serve --policy /etc/fdstorefs/policies --audit journald --entries 1000
  fdstorefs host start --pid 4711              from elsewhere: an instance for a container
  systemctl --user enable --now fdstorefs-host   an ordinary user's own containers

What it is told here is for each instance. An instance is mounted in its container, and runs outside:
the container can neither see nor end it. It ends with the container, not with this service: SIGTERM
ends the service alone, and started again it knows the instances that there are.

Where the host's enforcer runs, `--enforcement daemon` has to be said: it cannot guard what is mounted in
a container. `--audit` takes journald, syslog and stderr for root, and a file too for a user's own.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.parsing import count, descriptor_number, octal_mode

    hosting.add_socket(parser, "listen there")
    parser.add_argument(
        "--mode",
        type=octal_mode,
        default=serving.DEFAULT_MODE,
        metavar="OCTAL",
        help=f"permission bits of each instance's root (default: {serving.DEFAULT_MODE:o})",
    )
    parser.add_argument(
        "--entries", type=count, metavar="N", help="no instance holds more than N entries and boxes"
    )
    parser.add_argument("--entries-per-uid", type=count, metavar="N", help="and no more than N of one user")
    serving.add_policies_and_audit(parser)
    parser.add_argument(
        "--enforcement",
        choices=("auto", "daemon"),
        default="auto",
        metavar="WHO",
        help="`daemon`: each server alone decides, also where the host's enforcer runs, which cannot guard containers' "
        "instances; `auto`: start none while an enforcer runs (default: auto)",
    )
    parser.add_enforcer()
    parser.add_argument(
        "--ready-fd",
        type=descriptor_number,
        metavar="N",
        help="write `ready` to descriptor N, and close it, once it listens",
    )


def run(options: "argparse.Namespace") -> int:
    """Serve until told to end."""
    hosting.serve(options)
    return 0
