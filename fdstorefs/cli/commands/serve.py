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
    from fdstorefs.cli.parsing import descriptor_number

    parser.add_argument("mount", metavar="MOUNT", help="the directory to mount over")
    parser.add_argument(
        "--ready-fd",
        type=descriptor_number,
        metavar="N",
        help="write `ready` to descriptor N, and close it, once it serves",
    )
    serving.add_limits(parser)
    serving.add_enforcement(parser)


def run(options: "argparse.Namespace") -> int:
    """Serve until told to stop."""
    return serving.serve(serving.serve_options(options.mount, options, options.ready_fd))
