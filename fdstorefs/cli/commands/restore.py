"""`fdstorefs restore`: take what another process dumps, all or nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs restore --listen /run/user/1000/move.sock    wait for `fdstorefs dump --to` that
  fdstorefs restore --from /run/move.sock --into old     into the box `old`
  fdstorefs restore --fd 3 --replace --json              over a socket that was inherited
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli import meeting

    meeting.configure(parser, "from")
    configure_where(parser)
    parser.add_json("what was restored")
    parser.add_at()


def configure_where(parser: "Parser") -> None:
    """Add the arguments that say where it goes."""
    parser.add_argument("--into", metavar="BOX", help="put all of it into that box, which must be there")
    parser.add_argument("--replace", action="store_true", help="take names from entries that have them")


def run(options: "argparse.Namespace") -> int:
    """Restore."""
    from fdstorefs.cli.handing_over import as_object, summary
    from fdstorefs.cli.json_output import pretty
    from fdstorefs.cli.meeting import meet
    from fdstorefs.cli.progress import Progress
    from fdstorefs.client.handing import Handing
    from fdstorefs.client.restoration import Restoration
    from fdstorefs.client.store import connect

    with (
        connect(options.at) as store,
        meet(options) as (connected, peer),
        Restoration(store.mount, into=options.into, replace=options.replace) as restoration,
        Progress("taken over") as progress,
    ):
        restored = Handing(connected).take(restoration, progress)
    if options.json:
        print(pretty(as_object(restored, peer, None)))
    else:
        print(f"restored from {peer.told}: {summary(restored)}")
    return 0
