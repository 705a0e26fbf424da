"""`fdstorefs mount MOUNT`: an instance in the background."""

import os
from typing import TYPE_CHECKING

from fdstorefs.cli import serving

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs mount $XDG_RUNTIME_DIR/fdstore     one of your own (make the directory first)
  fdstorefs mount --log /var/log/fdstorefs.log /run/fdstore
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("mount", metavar="MOUNT", help="the directory to mount over")
    parser.add_argument("--log", metavar="FILE", help="append what the server has to say to FILE")
    serving.add_limits(parser)
    serving.add_enforcement(parser)


def run(options: "argparse.Namespace") -> int:
    """Start a server and leave it running."""
    from fdstorefs.cli import background

    served = serving.serve_options(os.path.abspath(options.mount), options)
    serving.check_policies(served)
    log = None
    if options.log is not None:
        log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    background.start(served, log=log)
    return 0
