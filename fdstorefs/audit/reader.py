"""Reading the log: lines to records. What is no record is told of and passed over, never in silence."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from fdstorefs.audit.record import ENVELOPE, EVENT_FIELDS, VERDICT, VERDICT_FIELDS, Field

Record: TypeAlias = dict[str, Any]
"""One record as it was written; its strings are escaped as `text` says."""

LONGEST_LINE = 1 << 20
"""Bytes of a line that are read as one: a hole that a crash left in a file is no line."""

_TYPES: dict[str, type] = {"integer": int, "string": str, "boolean": bool, "object": dict}
_EXCERPT = 40


class Damage(NamedTuple):
    """A line that is no record; lines count from 1."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


class NoRecord(ValueError):
    """A line that is no record; its text says why."""


Notice: TypeAlias = Callable[[Damage], object]


def read(lines: Iterable[bytes], file: str, notice: Notice) -> Iterator[Record]:
    """The records among the lines of a file; each other line is noticed."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            try:
                yield parse(line)
            except NoRecord as error:
                notice(Damage(file, number, str(error)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        notice(Damage(file, number + 1, f"cannot be unpacked: {error}"))


def parse(line: bytes) -> Record:
    """One line as a record. Raises NoRecord."""
    if len(line) >= LONGEST_LINE:
        raise NoRecord("no end of the line")
    try:
        record = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise NoRecord(_not_json(line)) from None
    if type(record) is not dict:
        raise NoRecord("not a JSON object")
    return _checked(record)


def _checked(record: Record) -> Record:
    problem = _problem(record, ENVELOPE)
    # A type that this version doesn't know is a record all the same, as far as the envelope goes.
    own = _OWN_FIELDS.get(record["type"], ()) if problem is None else ()
    problem = problem or _problem(record, own)
    if problem is not None:
        raise NoRecord(problem)
    return record


def _object(pairs: list[tuple[str, Any]]) -> Record:
    # Two fields of one name: which of them counts would be up to the reader, so neither does.
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a field is there twice")
    return record


def _not_json(line: bytes) -> str:
    if not line.endswith(b"\n"):
        return "the line breaks off"
    shown = line[:_EXCERPT].decode("ascii", "backslashreplace").rstrip()
    return f"not JSON: {shown}" if line.strip() else "an empty line"


def _problem(record: Record, fields: Iterable[Field]) -> str | None:
    """Which field is not what it must be; a word that this version doesn't know is no problem."""
    for field in fields:
        if field.name not in record:
            if field.always:
                return f"`{field.name}` is missing"
        elif problem := _value_problem(record[field.name], field):
            return problem
    return None


def _is_a(value: Any, kind: str) -> bool:
    # Not isinstance: to Python a boolean is an integer.
    return type(value) is _TYPES[kind]


def _value_problem(value: Any, field: Field) -> str | None:
    if field.many and type(value) is not list:
        return f"`{field.name}` is no list"
    items: list[Any] = value if field.many else [value]
    for item in items:
        if not _is_a(item, field.kind):
            return f"`{field.name}` is no {field.kind}"
        if field.pattern and not re.fullmatch(field.pattern, item):
            return f"`{field.name}` has another form"
        if field.fields and (problem := _problem(item, field.fields)):
            return f"{problem} in `{field.name}`"
    return None


_OWN_FIELDS: dict[str, tuple[Field, ...]] = {
    VERDICT: VERDICT_FIELDS,
    **{event.value: fields for event, fields in EVENT_FIELDS.items()},
}
