"""A JSON Schema of the language (draft 2020-12), for editors, made from the definitions.

It describes the shape: what it refuses the parser refuses too, and the parser refuses more.
"""

import json
from typing import Any, TypeAlias

import yaml

from fdstorefs.policy.definitions import KEYS_OF, Key, Place
from fdstorefs.policy.parse_scalars import MAX_NUMBER, NAME
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.vocabulary import (
    ACCESS,
    ACTIONS,
    ALL,
    CAPABILITIES,
    KINDS,
    NO_MORE,
    USERNS_WORDS,
    VERSION,
    Effect,
    Mode,
    OpenerUnknown,
)

Schema: TypeAlias = dict[str, Any]


def schema() -> Schema:
    """The schema of a policy."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fdstorefs policy",
        **_place(Place.POLICY),
        "$defs": {place.value: _place(place) for place in Place if place is not Place.POLICY},
    }


def text() -> str:
    """The schema as it is in the file."""
    return json.dumps(schema(), indent=2) + "\n"


def _place(place: Place) -> Schema:
    keys = KEYS_OF[place]
    required = [key.name for key in keys.values() if key.required]
    described: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _key(key) for name, key in keys.items()},
    }
    if required:
        return described | {"required": required}
    limit = {"maxProperties": 1} if place is Place.INSTANCE else {}
    return described | {"minProperties": 1, **limit}


def _key(key: Key) -> Schema:
    example = yaml.safe_load(key.example)[key.name]
    return {"description": key.meaning, "examples": [example], **_value(key)}


def _value(key: Key) -> Schema:
    if key.inside is None:
        return _SCHEMAS[key.type]
    inside = {"$ref": f"#/$defs/{key.inside.value}"}
    match key.type:
        case Type.RULES:
            return {"type": "array", "items": inside}
        case Type.SETS:
            names = {"pattern": f"^{NAME}$"}
            return {
                "type": "object",
                "minProperties": 1,
                "propertyNames": names,
                "additionalProperties": inside,
            }
        case Type.INSTANCES:
            return _one_or_more({"anyOf": [_ABSOLUTE, inside]})
        case _:
            return inside


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _words(*words: str) -> Schema:
    return {"enum": [str(word) for word in words]}


_NUMBER = {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER}
_TEXT = {"type": "string", "minLength": 1}
_ABSOLUTE = {"type": "string", "pattern": "^/"}
_ID = {"anyOf": [_NUMBER, {"type": "string", "pattern": "^(host:(0|[1-9][0-9]*)|[^:/\\s]+)$"}]}

_SCHEMAS: dict[Type, Schema] = {
    Type.VERSION: {"const": VERSION},
    Type.NAME: {"type": "string", "pattern": f"^{NAME}$"},
    Type.TEXT: _TEXT,
    Type.BOOLEAN: {"type": "boolean"},
    Type.COUNT: _NUMBER,
    Type.MODE: _words(*Mode),
    Type.OPENER_UNKNOWN: _words(*OpenerUnknown),
    Type.EFFECT: _words(*Effect),
    Type.ACTIONS: _one_or_more(_words(*ACTIONS, ALL)),
    Type.KINDS: _one_or_more(_words(*KINDS)),
    Type.ACCESS: _one_or_more(_words(*ACCESS)),
    Type.FILESYSTEMS: _one_or_more({"type": "string", "pattern": "^[a-z0-9._-]+$"}),
    Type.LABELS: _one_or_more(_TEXT),
    Type.GLOBS: _one_or_more({"type": "string", "pattern": "^[^/]"}),
    Type.UIDS: _one_or_more(_ID),
    Type.UIDS_OR_SAME: _one_or_more(_ID),
    Type.GIDS: _one_or_more(_ID),
    Type.CGROUP: _ABSOLUTE,
    Type.CGROUPS: _one_or_more(_ABSOLUTE),
    Type.CAPABILITIES: _one_or_more(_words(*CAPABILITIES)),
    Type.CAPABILITIES_OR_NO_MORE: _one_or_more(_words(NO_MORE, *CAPABILITIES)),
    Type.USERNS: _words(*USERNS_WORDS),
    Type.SET_NAMES: _one_or_more({"type": "string", "pattern": f"^{NAME}$"}),
}
