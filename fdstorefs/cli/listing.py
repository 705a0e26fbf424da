"""What `ls -l` prints."""

import stat
from collections.abc import Iterable

from fdstorefs.cli import owners
from fdstorefs.cli.colour import coloured
from fdstorefs.cli.columns import align
from fdstorefs.cli.moment import to_the_minute, to_the_second
from fdstorefs.cli.visible import visible
from fdstorefs.client.records import Entry

_HEADER = ("MODE", "OWNER", "GROUP", "CHANGED", "KIND", "NAME", "WHAT IT IS")
_NAME = _HEADER.index("NAME")


def long_lines(entries: Iterable[Entry], *, in_colour: bool = False) -> list[str]:
    """A header and a line for each entry, in columns; nothing at all for no entries."""
    listed = list(entries)
    if not listed:
        return []
    lines = align([_HEADER, *map(_row, listed)])
    return [lines[0], *_colour_names(lines, listed)] if in_colour else lines


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        permissions(entry),
        visible(owners.user(entry.uid)),
        visible(owners.group(entry.gid)),
        to_the_minute(entry.changed),
        entry.kind,
        _shown_name(entry),
        _what(entry),
    )


def permissions(entry: Entry) -> str:
    """The mode in letters, as ls(1) has it."""
    return stat.filemode((stat.S_IFDIR if entry.kind == "box" else stat.S_IFREG) | entry.mode & 0o7777)


def _shown_name(entry: Entry) -> str:
    return visible(entry.name) + ("/" if entry.kind == "box" else "")


def _what(entry: Entry) -> str:
    words = [visible(entry.description or "")]
    if entry.sealed:
        words.append("sealed")
    if entry.guarded is False:
        words.append("unguarded")
    if entry.label is not None:
        words.append(f"[{visible(entry.label)}]")
    if entry.expires is not None:
        words.append(f"expires {to_the_second(entry.expires)}")
    if entry.poll is False:
        words.append("not polled")
    return " ".join(word for word in words if word)


def _colour_names(lines: list[str], entries: list[Entry]) -> list[str]:
    """Colours go in last: what doesn't show must not count as width."""
    start = lines[0].index(_HEADER[_NAME])
    return [
        line[:start] + coloured(name, entry.kind) + line[start + len(name) :]
        for line, entry in zip(lines[1:], entries, strict=True)
        for name in (_shown_name(entry),)
    ]
