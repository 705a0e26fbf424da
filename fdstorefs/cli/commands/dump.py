"""`fdstorefs dump [PATTERN]`: hand everything to another process, which restores it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs dump --to /run/user/1000/move.sock           to `fdstorefs restore --listen` of that
  fdstorefs dump 'web/**' --listen /run/move.sock        wait for `fdstorefs restore --from` that
  fdstorefs dump --fd 3 --json                           over a socket that was inherited
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli import meeting

    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        help="a name, a box with all that is in it, or a glob, where `**` goes into boxes (default: everything)",
    )
    meeting.configure(parser, "to")
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="leave out what may be listed and not retrieved, and say what it was",
    )
    parser.add_json("what was handed over")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Dump. Done when the other side says that it has stored everything."""
    from fdstorefs.cli.handing_over import as_object, require_some, say_left_out, summary
    from fdstorefs.cli.json_output import pretty
    from fdstorefs.cli.meeting import meet
    from fdstorefs.cli.progress import Progress
    from fdstorefs.client.handing import Handing
    from fdstorefs.client.store import connect

    with (
        connect(options.at) as store,
        meet(options) as (connected, peer),
        store.dump(options.pattern, leave_out=options.leave_out) as dump,
        Progress("handed over") as progress,
    ):
        restored = Handing(connected).give(dump, progress)
    say_left_out(dump.left_out)
    require_some(restored, options.pattern)
    if options.json:
        print(pretty(as_object(restored, peer, dump.left_out)))
    else:
        print(f"restored by {peer.told}: {summary(restored)}")
    return 0
