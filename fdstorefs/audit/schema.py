"""The record's definition as JSON Schema and as the tables of the documentation; both are checked by tests."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fdstorefs.audit.record import (
    ENTRY,
    ENVELOPE,
    EVENT_FIELDS,
    EVENT_MEANING,
    OPENER,
    POLICY,
    REASON_MEANING,
    SHORTENED,
    STASHER,
    SUBJECT,
    VERDICT,
    VERDICT_FIELDS,
    VERSION,
    Field,
)

Schema = dict[str, Any]

OBJECTS: dict[str, tuple[Field, ...]] = {
    "subject": SUBJECT,
    "entry": ENTRY,
    "stasher": STASHER,
    "opener": OPENER,
    "policy": POLICY,
}
"""The objects within records, each under one name wherever it occurs."""

_RECORD = (*ENVELOPE, SHORTENED)


def schema() -> Schema:
    """The JSON Schema (2020-12) of one record. It allows fields that it does not know: there may be more some day."""
    own = {VERDICT: VERDICT_FIELDS} | {kind.value: fields for kind, fields in EVENT_FIELDS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:fdstorefs:audit:{VERSION}",
        "title": "A record of the audit log of fdstorefs",
        "allOf": [{"$ref": "#/$defs/envelope"}],
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in own],
        "$defs": {
            "envelope": _object_schema(_RECORD),
            **{kind: _record_schema(kind, fields) for kind, fields in own.items()},
            **{name: _object_schema(fields) for name, fields in OBJECTS.items()},
        },
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2) + "\n"


def _record_schema(kind: str, fields: tuple[Field, ...]) -> Schema:
    made = _object_schema(fields)
    made["properties"] = {"type": {"const": kind}, **made["properties"]}
    return made


def _object_schema(fields: Iterable[Field]) -> Schema:
    fields = tuple(fields)
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.always],
    }


def _field_schema(field: Field) -> Schema:
    value = _value_schema(field)
    if field.many:
        bounds = {"minItems": field.least, "maxItems": field.most}
        value = {"type": "array", "items": value} | {
            word: bound for word, bound in bounds.items() if bound is not None
        }
    return {"description": _meaning(field), **value}


def _value_schema(field: Field) -> Schema:
    if field.fields:
        return {"$ref": f"#/$defs/{_name_of(field.fields)}"}
    value: Schema = {"type": field.kind}
    if field.words:
        value["enum"] = list(field.words)
    if field.pattern:
        value["pattern"] = f"^{field.pattern}$"
    return value


def _name_of(fields: tuple[Field, ...]) -> str:
    return next(name for name, known in OBJECTS.items() if known is fields)


def _meaning(field: Field) -> str:
    return f"{field.meaning} ({field.unit})" if field.unit else field.meaning


def tables() -> str:
    """The generated part of docs/audit.md: every field with type, unit and source, every event, every reason."""
    return "\n".join(_tables())


def _tables() -> Iterator[str]:
    yield from _table("Every record", _RECORD)
    yield from _table("`verdict`", VERDICT_FIELDS)
    for name, fields in OBJECTS.items():
        yield from _table(f"The object `{name}`", fields)
    for kind, fields in EVENT_FIELDS.items():
        yield from _table(f"`{kind}`: {EVENT_MEANING[kind]}", fields)
    yield from ("### Reasons", "", "| reason | meaning |", "| --- | --- |")
    yield from (f"| `{reason}` | {meaning} |" for reason, meaning in REASON_MEANING.items())
    yield ""


def _table(title: str, fields: Iterable[Field]) -> Iterator[str]:
    yield from (
        f"### {title}",
        "",
        "| field | type | unit | source | meaning |",
        "| --- | --- | --- | --- | --- |",
    )
    for field in fields:
        name = f"`{field.name}`" if field.always else f"`{field.name}`?"
        yield f"| {name} | {_type(field)} | {field.unit} | {field.source} | {_with_words(field)} |"
    yield ""


def _type(field: Field) -> str:
    name = f"`{_name_of(field.fields)}`" if field.fields else field.kind
    return f"array of {name}" if field.many else name


def _with_words(field: Field) -> str:
    if not field.words or len(field.words) > len(EVENT_FIELDS) + 1:
        return field.meaning
    return f"{field.meaning}: {', '.join(f'`{word}`' for word in field.words)}"
