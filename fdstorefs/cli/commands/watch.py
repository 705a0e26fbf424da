"""`fdstorefs watch [PATTERN]`: print changes as they happen."""

import time
from typing import TYPE_CHECKING

from fdstorefs.cli.moment import time_of_day
from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.records import Change

EXAMPLES = """\
  fdstorefs watch                              until Ctrl-C
  fdstorefs watch --json 'listen/**'           one JSON object on each line
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", help="a glob, as for `ls`")
    parser.add_json("changes")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Watch."""
    from fdstorefs.client.address import default_mount
    from fdstorefs.client.watch import Watch

    with Watch(options.at or default_mount(), options.pattern) as watch:
        for change in watch:
            print(_json(change) if options.json else line(change, time.time_ns()), flush=True)
    return 0


def _json(change: "Change") -> str:
    from fdstorefs.cli.json_output import change_object, in_one_line

    return in_one_line(change_object(change))


def line(change: "Change", now: int) -> str:
    """A change in one line; `now` in nanoseconds since the epoch."""
    words = [time_of_day(now), f"{visible(change.change):<9}"]
    if change.former is not None:
        words.append(f"{visible(change.former)} ->")
    if change.entry is not None:
        words += [visible(change.entry.name), f"({change.entry.kind})"]
    return " ".join(words)
