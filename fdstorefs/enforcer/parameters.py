"""Reading parameters of the enforcer's calls: each function takes one out or raises InvalidParameter. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from fdstorefs.enforcer.guarding import Name
from fdstorefs.enforcer.id_maps import HIGHEST
from fdstorefs.errors import InvalidArgument
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.varlink.call import Parameters
from fdstorefs.server.varlink.standard import invalid_parameter

T = TypeVar("T")

MOST_NAMES = 64
"""Names of one open file, as a store has it."""

MOST_LEVELS = 33
"""User namespaces inside one another, with the initial one."""

MOST_PATH_BYTES, MOST_LABEL_BYTES = 4096, 256
_MASK_BITS, _INODE_BITS = 64, 64


class Given(NamedTuple):
    """A descriptor's index and its names."""

    descriptor: int
    names: tuple[Name, ...]


def index(parameters: Parameters, key: str) -> int:
    """The index of a descriptor."""
    value = parameters.get(key)
    if type(value) is not int or not 0 <= value < MAX_DESCRIPTORS:
        raise invalid_parameter(key)
    return value


def optional_number(parameters: Parameters, key: str) -> int | None:
    """A number that fits into 32 bits, or None."""
    return _optional(parameters.get(key), lambda value: _number(value, HIGHEST, key))


def inodes(parameters: Parameters) -> tuple[int, ...]:
    """The list `inodes`, empty if absent."""
    value = parameters.get("inodes")
    return () if value is None else tuple(_inode(each, "inodes") for each in _list(value, "inodes", 1 << 16))


def texts(parameters: Parameters, key: str) -> list[str]:
    """A list of strings."""
    value = _list(parameters.get(key), key, 1 << 10)
    if any(type(each) is not str for each in value):
        raise invalid_parameter(key)
    return value


def files(parameters: Parameters) -> list[Given]:
    """The list `files` of Guard."""
    given = _list(parameters.get("files"), "files", MAX_DESCRIPTORS)
    return [_file(each) for each in given]


def _file(value: object) -> Given:
    found = _object(value, {"descriptor", "names"})
    names = _list(found["names"], "files", MOST_NAMES)
    return Given(index(found, "descriptor"), tuple(map(_name, names)))


def _name(value: object) -> Name:
    found = _object(value, {"path", "inode", "stasher"}, {"label"})
    path, label = found["path"], found.get("label")
    if not _is_text(path, MOST_PATH_BYTES) or not (label is None or _is_text(label, MOST_LABEL_BYTES)):
        raise invalid_parameter("files")
    who = _object(found["stasher"], set(), {"uid", "gid", "capabilities", "userns"})
    return Name(
        path,
        _inode(found["inode"], "files"),
        label,
        _optional(who.get("uid"), lambda uid: _number(uid, HIGHEST, "files")),
        _optional(who.get("capabilities"), lambda mask: _number(mask, (1 << _MASK_BITS) - 1, "files")),
        _optional(who.get("userns"), _userns),
    )


def _userns(value: object) -> tuple[int, ...]:
    numbers = _list(value, "files", MOST_LEVELS)
    if not numbers:
        raise invalid_parameter("files")
    return tuple(_number(each, (1 << 32) - 1, "files") for each in numbers)


def _inode(value: object, key: str) -> int:
    return _number(value, (1 << _INODE_BITS) - 1, key)


def _number(value: object, most: int, key: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise invalid_parameter(key)
    return value


def _is_text(value: object, most: int) -> bool:
    return type(value) is str and len(value.encode("utf-8", "surrogatepass")) <= most


def _list(value: object, key: str, most: int) -> list[Any]:
    if type(value) is not list:
        raise invalid_parameter(key)
    if len(value) > most:
        raise InvalidArgument(
            f"`{key}` has {len(value)} items, and {most} are read", hint="make several calls"
        )
    return value


def _object(value: object, needed: set[str], others: set[str] | None = None) -> dict[str, Any]:
    if type(value) is not dict or not needed <= value.keys() <= needed | (others or set()):
        raise invalid_parameter("files")
    return value


def _optional(value: object, read: Callable[[object], T]) -> T | None:
    return None if value is None else read(value)
