"""`fdstorefs transfer FROM TO [PATTERN]`: from one instance to another, all or nothing."""

from typing import TYPE_CHECKING

from fdstorefs.cli.failure import say

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.dump import LeftOut
    from fdstorefs.client.moving import Moved
    from fdstorefs.client.restoration import Restored

EXAMPLES = """\
  fdstorefs transfer /run/fdstore /run/new/fdstore       copy everything
  fdstorefs transfer --move /run/a /run/b 'web/**'       and discard it in /run/a when /run/b has it
  fdstorefs transfer /run/a /run/b web --into old --replace
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.commands.restore import configure_where

    parser.add_argument("source", metavar="FROM", help="where the instance is mounted that has it")
    parser.add_argument("goal", metavar="TO", help="where the instance is mounted that is to have it")
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        help="a name, a box with all that is in it, or a glob, where `**` goes into boxes (default: everything)",
    )
    parser.add_argument(
        "--move",
        action="store_true",
        help="then discard in FROM what has been transferred, and has not been replaced meanwhile",
    )
    configure_where(parser)
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="leave out what may be listed and not retrieved, and say what it was",
    )
    parser.add_json("what was transferred")


def run(options: "argparse.Namespace") -> int:
    """Transfer."""
    from fdstorefs.cli.handing_over import require_some, say_left_out
    from fdstorefs.cli.progress import Progress
    from fdstorefs.client.moving import Moving
    from fdstorefs.client.store import connect

    with connect(options.source) as source, connect(options.goal) as goal:
        with (
            source.dump(options.pattern, leave_out=options.leave_out) as dump,
            Progress("transferred") as progress,
        ):
            moving = Moving(dump)
            restored = goal.restore(moving, into=options.into, replace=options.replace, progress=progress)
        moved = moving.discard(source) if options.move else None
    say_left_out(dump.left_out)
    require_some(restored, options.pattern)
    _print(options, restored, moved, dump.left_out)
    if moved is not None and moved.error is not None:
        say(
            f"all of it is in `{options.goal}`, and still in `{options.source}`: {moved.error}",
            moved.error.hint,
        )
        return moved.error.exit_code
    return 0


def _print(
    options: "argparse.Namespace", restored: "Restored", moved: "Moved | None", left_out: "list[LeftOut]"
) -> None:
    from fdstorefs.cli.handing_over import as_object, summary
    from fdstorefs.cli.json_output import pretty
    from fdstorefs.cli.visible import visible

    if options.json:
        told = as_object(restored, None, left_out)
        if moved is not None:
            told |= {"discarded": moved.discarded, "kept": moved.kept}
        print(pretty(told))
        return
    print(f"transferred: {summary(restored)}")
    for name in moved.kept if moved is not None else ():
        say(f"not discarded, as it is not what it was: `{visible(name)}`")
