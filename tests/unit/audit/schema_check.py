"""Whether a value is what the published JSON Schema says: as much of JSON Schema as that one uses."""

import json
import re
from typing import Any

from tests.unit.house.source import PACKAGE

SCHEMA: dict[str, Any] = json.loads((PACKAGE / "interface" / "audit.schema.json").read_text())
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}
ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}


def faults(value: Any, schema: dict[str, Any] = SCHEMA, where: str = "record") -> list[str]:
    """What is wrong with it. Raises KeyError for a word of JSON Schema that this does not know."""
    return [
        fault
        for word, argument in schema.items()
        if word not in ANNOTATIONS
        for fault in CHECKS[word](value, argument, where)
    ]


def _reference(value: Any, name: str, where: str) -> list[str]:
    return faults(value, SCHEMA["$defs"][name.removeprefix("#/$defs/")], where)


def _type(value: Any, name: str, where: str) -> list[str]:
    right = isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
    return [] if right else [f"{where} is no {name}"]


def _one_of(value: Any, schemas: list[dict[str, Any]], where: str) -> list[str]:
    found = [faults(value, schema, where) for schema in schemas]
    if sum(not each for each in found) == 1:
        return []
    return [f"{where} fits not one of {len(schemas)}: {min(found, key=len)}"]


def _properties(value: Any, schemas: dict[str, dict[str, Any]], where: str) -> list[str]:
    present = {name: schema for name, schema in schemas.items() if name in value}
    return [f for name, schema in present.items() for f in faults(value[name], schema, f"{where}.{name}")]


def _unless(right: bool, fault: str) -> list[str]:
    return [] if right else [fault]


CHECKS: dict[str, Any] = {
    "$ref": _reference,
    "type": _type,
    "allOf": lambda value, schemas, where: [f for each in schemas for f in faults(value, each, where)],
    "oneOf": _one_of,
    "const": lambda value, right, where: _unless(value == right, f"{where} is not {right}"),
    "enum": lambda value, words, where: _unless(value in words, f"{where} is {value!r}"),
    "pattern": lambda value, form, where: _unless(bool(re.search(form, value)), f"{where} is {value!r}"),
    "minItems": lambda value, least, where: _unless(len(value) >= least, f"{where} is too short"),
    "maxItems": lambda value, most, where: _unless(len(value) <= most, f"{where} is too long"),
    "items": lambda value, each, where: [f for item in value for f in faults(item, each, f"{where}[]")],
    "properties": _properties,
    "required": lambda value, names, where: [f"{where} has no {name}" for name in names if name not in value],
}
