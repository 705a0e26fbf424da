"""What `--json` prints. Absent fields are null, so that scripts find every field they look for."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fdstorefs.client.records import Change, Entry


def entry_object(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object."""
    fields = entry._asdict()
    for name, person in (("stasher", entry.stasher), ("opener", entry.opener)):
        if person is not None:
            fields[name] = person._asdict()
    return fields


def change_object(change: Change) -> dict[str, Any]:
    """A change as a JSON object."""
    entry = None if change.entry is None else entry_object(change.entry)
    return {"change": change.change, "former": change.former, "entry": entry}


def pretty(value: object) -> str:
    """Indented, for a reader who may be a person."""
    return json.dumps(value, indent=2)


def in_one_line(value: object) -> str:
    """For a stream of objects, one on each line."""
    return json.dumps(value)


def listing(entries: list[Entry]) -> str:
    """A list with an entry on each line."""
    if not entries:
        return "[]"
    return "[\n" + ",\n".join(f"  {in_one_line(entry_object(entry))}" for entry in entries) + "\n]"


def list_as_it_comes(values: Iterable[object]) -> Iterator[str]:
    """The lines of a list with a value on each, of which only one is held at a time."""
    before = "["
    for value in values:
        yield before if before == "[" else f"{before},"
        before = f"  {in_one_line(value)}"
    if before == "[":
        yield "[]"
    else:
        yield before
        yield "]"
