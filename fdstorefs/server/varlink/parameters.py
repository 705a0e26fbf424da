"""Reading parameters: each function takes one out of a call or raises InvalidParameter with its name. Pure.

A parameter that is null counts as absent, as in every Varlink interface.
"""

from collections.abc import Set
from typing import TypeGuard

from fdstorefs.core.duration import check_duration
from fdstorefs.core.name import check_label
from fdstorefs.errors import InvalidArgument
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.varlink.call import Parameters
from fdstorefs.server.varlink.standard import invalid_parameter

HIGHEST_MODE = 0o7777
MOST_IDENTIFIED = 1024
BITS = 63
"""Of an integer in Varlink, beside its sign. JSON has no end to them."""


def only(parameters: Parameters, known: Set[str]) -> None:
    """Refuse a parameter that the method does not have."""
    for key in parameters:
        if key not in known:
            raise invalid_parameter(key)


def text(parameters: Parameters, key: str) -> str:
    """A string that must be there."""
    value = parameters.get(key)
    if type(value) is not str:
        raise invalid_parameter(key)
    return value


def optional_text(parameters: Parameters, key: str) -> str | None:
    """A string or None."""
    return None if parameters.get(key) is None else text(parameters, key)


def flag(parameters: Parameters, key: str) -> bool:
    """A truth value, False if absent."""
    return optional_flag(parameters, key) or False


def optional_flag(parameters: Parameters, key: str) -> bool | None:
    """A truth value or None."""
    value = parameters.get(key)
    if value is not None and type(value) is not bool:
        raise invalid_parameter(key)
    return value


def names(parameters: Parameters) -> list[str]:
    """The list of strings `names`, not longer than descriptors fit into a message."""
    value = parameters.get("names")
    if type(value) is not list:
        raise invalid_parameter("names")
    for name in value:
        if type(name) is not str:
            raise invalid_parameter("names")
    if len(value) > MAX_DESCRIPTORS:
        raise InvalidArgument(
            f"{len(value)} names are given, and one call takes {MAX_DESCRIPTORS} at most",
            hint="make several calls",
        )
    return value


def mode(parameters: Parameters, default: int) -> int:
    """Permission bits; InvalidArgument outside 0 to 07777."""
    value = parameters.get("mode")
    if value is None:
        return default
    if not _is_integer(value):
        raise invalid_parameter("mode")
    if not 0 <= value <= HIGHEST_MODE:
        raise InvalidArgument(f"mode {value} is not within 0 to {HIGHEST_MODE} (octal 7777)")
    return value


def label(parameters: Parameters) -> str | None:
    """A label or None; InvalidArgument if it is too long."""
    value = optional_text(parameters, "label")
    return check_label(value) if value is not None else None


def lifetime(parameters: Parameters) -> int | None:
    """Nanoseconds that an entry is to stay, or None; InvalidArgument if it can't."""
    value = parameters.get("lifetime")
    if value is None:
        return None
    if not _is_integer(value):
        raise invalid_parameter("lifetime")
    return check_duration(value)


def named(parameters: Parameters) -> list[tuple[str, int]]:
    """The list `entries` of name and descriptor index."""
    value = parameters.get("entries")
    if type(value) is not list:
        raise invalid_parameter("entries")
    if len(value) > MAX_DESCRIPTORS:
        raise InvalidArgument(f"{len(value)} entries are given, and one call takes {MAX_DESCRIPTORS} at most")
    return [_named(element) for element in value]


def _named(element: object) -> tuple[str, int]:
    if type(element) is not dict or element.keys() != {"name", "fileDescriptor"}:
        raise invalid_parameter("entries")
    name, index = element["name"], element["fileDescriptor"]
    if type(name) is not str or not _is_integer(index):
        raise invalid_parameter("entries")
    return name, index


def identified(parameters: Parameters) -> list[tuple[str, int, int | None]]:
    """The list `entries` of names, each given once, with the numbers of entry and open file."""
    value = parameters.get("entries")
    if type(value) is not list:
        raise invalid_parameter("entries")
    if len(value) > MOST_IDENTIFIED:
        raise InvalidArgument(f"{len(value)} entries are given, and one call takes {MOST_IDENTIFIED} at most")
    found = [_identified(element) for element in value]
    if len({name for name, _, _ in found}) != len(found):
        raise InvalidArgument("the same name is given twice")
    return found


def _identified(element: object) -> tuple[str, int, int | None]:
    if type(element) is not dict or not {"name", "id"} <= element.keys() <= {"name", "id", "file"}:
        raise invalid_parameter("entries")
    name, number, file = element["name"], element["id"], element.get("file")
    if type(name) is not str or not _is_integer(number) or not (file is None or _is_integer(file)):
        raise invalid_parameter("entries")
    return name, number, file


def _is_integer(value: object) -> TypeGuard[int]:
    return type(value) is int and value.bit_length() <= BITS
