"""`fdstorefs serve MOUNT`: an instance in the foreground."""

from typing import TYPE_CHECKING

from fdstorefs.cli import serving

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs serve /run/fdstore                 as a service; SIGTERM unmounts and ends it
  fdstorefs serve --entries-per-uid 512 /srv   nobody fills it alone
  fdstorefs serve --entries-per-box 100 /srv   nobody fills a box that others need
  fdstorefs serve --policy /etc/fdstorefs/policies --audit journald /run/fdstore
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.parsing import descriptor_number, systemd_store

    parser.add_argument("mount", metavar="MOUNT", help="the directory to mount over")
    parser.add_argument(
        "--ready-fd",
        type=descriptor_number,
        metavar="N",
        help="write `ready` to descriptor N, and close it, once it serves",
    )
    parser.add_argument(
        "--systemd-store",
        type=systemd_store,
        default="auto",
        metavar="auto|no|N",
        help="as a service: have systemd keep a copy of what is stashed, so that it outlives all of us. `auto`: as "
        "much as systemd says that it takes (254 and later say it); N: no more than N descriptors, as the unit's "
        "FileDescriptorStoreMax= has it; `no`: nothing (default: auto)",
    )
    serving.add_limits(parser)
    serving.add_enforcement(parser)


def run(options: "argparse.Namespace") -> int:
    """Serve until told to stop."""
    from dataclasses import replace

    from fdstorefs.cli.failure import UsageError

    if not options.keeper and options.systemd_store.isdigit():
        raise UsageError(
            "without a keeper nothing is kept, with systemd either", hint="leave out one of the two"
        )
    told = serving.serve_options(options.mount, options, options.ready_fd)
    return serving.serve(replace(told, systemd_store=options.systemd_store))
