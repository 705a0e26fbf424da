"""Reading what is to be restored: each node of a call, checked as far as that takes no store."""

from typing import Any, NamedTuple

from fdstorefs.core.duration import check_duration
from fdstorefs.core.name import check_label
from fdstorefs.core.restoring import Arriving
from fdstorefs.errors import BadDescriptor, InvalidArgument
from fdstorefs.host.boot_clock import boottime
from fdstorefs.server.varlink.call import Parameters
from fdstorefs.server.varlink.parameters import HIGHEST_MODE
from fdstorefs.server.varlink.standard import invalid_parameter

MOST_NODES = 4096
"""In one call: all others wait while they are looked at."""

MOST_NAMES = 64
HIGHEST_ID = 2**32 - 2
HIGHEST_NUMBER = 2**63 - 1

_KEYS: dict[str, type] = {
    "names": list,
    "kind": str,
    "id": int,
    "uid": int,
    "gid": int,
    "mode": int,
    "created": int,
    "changed": int,
    "sealed": bool,
    "label": str,
    "lifetime": int,
    "poll": bool,
    "stasher": dict,
    "file": int,
    "fileDescriptor": int,
    "onTheWay": bool,
}
_MUST = frozenset({"names", "kind", "uid", "gid", "mode"})
_RANGES = {
    "uid": HIGHEST_ID,
    "gid": HIGHEST_ID,
    "mode": HIGHEST_MODE,
    "created": HIGHEST_NUMBER,
    "changed": HIGHEST_NUMBER,
    "file": HIGHEST_NUMBER,
}

Fields = dict[str, Any]


class Parcel(NamedTuple):
    """A node without its file, which is known by its number among those that are restored together, None: it has none.

    `at` is where its descriptor is in this message, if it is there for the first time.
    """

    arriving: Arriving
    file: int | None
    at: int | None


def parcels(given: Parameters, descriptors: int) -> list[Parcel]:
    """All nodes of a call that has so many descriptors. Raises InvalidParameter, InvalidArgument, BadDescriptor."""
    nodes = given.get("nodes")
    if type(nodes) is not list:
        raise invalid_parameter("nodes")
    if len(nodes) > MOST_NODES:
        raise InvalidArgument(
            f"{len(nodes)} nodes are given, and one call takes {MOST_NODES} at most",
            hint="make several calls",
        )
    return [_parcel(node, descriptors) for node in nodes]


def _parcel(node: object, descriptors: int) -> Parcel:
    fields = _fields(node)
    names = fields["names"]
    _check_names(names, fields["kind"])
    label = fields.get("label")
    arriving = Arriving(
        names,
        fields["kind"] == "box",
        0,
        fields["uid"],
        fields["gid"],
        fields["mode"],
        fields.get("created", HIGHEST_NUMBER),
        fields.get("changed", HIGHEST_NUMBER),
        label=check_label(label) if label is not None else None,
        expires=boottime() + check_duration(fields["lifetime"]) if "lifetime" in fields else None,
        polled=fields.get("poll", True),
        sealed=fields.get("sealed", False),
    )
    return Parcel(arriving, *_file(fields, descriptors))


def _fields(node: object) -> Fields:
    """Those that are not null, each of its type and range."""
    if type(node) is not dict:
        raise invalid_parameter("nodes")
    fields = {key: value for key, value in node.items() if value is not None}
    if not fields.keys() >= _MUST:
        raise invalid_parameter("nodes")
    for key, value in fields.items():
        if type(value) is not _KEYS.get(key):
            raise invalid_parameter("nodes")
    for key, highest in _RANGES.items():
        if not 0 <= fields.get(key, 0) <= highest:
            raise InvalidArgument(
                f"{key} {fields[key]} is not within 0 to {highest}", name=str(fields["names"])[:64]
            )
    return fields


def _check_names(names: list[object], kind: str) -> None:
    if not names or any(type(name) is not str for name in names):
        raise invalid_parameter("nodes")
    if len(names) > (1 if kind == "box" else MOST_NAMES):
        raise InvalidArgument(f"`{names[0]}` has too many names: {len(names)}", name=str(names[0]))


def _file(fields: Fields, descriptors: int) -> tuple[int | None, int | None]:
    number, index, name = fields.get("file"), fields.get("fileDescriptor"), fields["names"][0]
    if (number is None) != (fields["kind"] in ("box", "empty")):
        raise InvalidArgument(f"`{name}` has a `file`, or has none, against its `kind`", name=name)
    if index is not None and number is None:
        raise InvalidArgument(f"`{name}` has a descriptor and no `file`", name=name)
    if index is not None and not 0 <= index < descriptors:
        raise BadDescriptor(
            f"`{name}` is to be descriptor {index} of a message that has {descriptors}",
            name=name,
            hint="count from 0",
        )
    return number, index
