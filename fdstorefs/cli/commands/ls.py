"""`fdstorefs ls [PATTERN]`: list entries."""

import sys
from typing import TYPE_CHECKING

from fdstorefs.cli.visible import visible
from fdstorefs.errors import NoSuchEntry

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.cli.progress import Progress
    from fdstorefs.client.records import Entry
    from fdstorefs.client.store import Store

EXAMPLES = """\
  fdstorefs ls                                 every name
  fdstorefs ls -l 'listen/**'                  with owner, kind and what it is
  fdstorefs ls --json | jq -r '.[] | select(.kind == "socket") | .name'
"""

_MAGIC = frozenset("*?[")


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        help="a name; a box, to list what is in it; or a glob, where `**` goes into boxes",
    )
    parser.add_argument("-l", "--long", action="store_true", help="mode, owner, kind, time and what it is")
    parser.add_argument(
        "--names", action="store_true", help="names as they are, for scripts that complete them"
    )
    parser.add_json("entries")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """List."""
    from fdstorefs.cli.progress import Progress
    from fdstorefs.client.store import connect

    with connect(options.at) as store, Progress("entries") as progress:
        entries = _find(store, options.pattern, options.long or options.json, progress)
    if options.json:
        from fdstorefs.cli.json_output import listing

        print(listing(entries))
        return 0
    for line in _lines(entries, options):
        print(line)
    return 0


def _find(store: "Store", pattern: str | None, details: bool, progress: "Progress") -> "list[Entry]":
    if pattern is None or _MAGIC & set(pattern):
        return store.list(pattern, details=details, progress=progress)
    name = pattern.strip("/")
    found = store.list(name or None, details=details, progress=progress)
    if not found:
        raise NoSuchEntry(f"no entry `{visible(name)}`", name=name)
    if name and found[0].kind == "box":
        return store.list(f"{name}/*", details=details, progress=progress)
    return found


def _lines(entries: "list[Entry]", options: "argparse.Namespace") -> "list[str]":
    if options.names:
        return [_plain(entry) for entry in entries if entry.name.isprintable()]
    from fdstorefs.cli.colour import coloured, wants_colour

    if options.long:
        from fdstorefs.cli.listing import long_lines

        return long_lines(entries, in_colour=wants_colour(sys.stdout))
    if not wants_colour(sys.stdout):
        return [visible(_plain(entry)) for entry in entries]
    return [coloured(visible(_plain(entry)), entry.kind) for entry in entries]


def _plain(entry: "Entry") -> str:
    return f"{entry.name}/" if entry.kind == "box" else entry.name
