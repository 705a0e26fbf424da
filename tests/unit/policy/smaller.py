"""Makes a failing case smaller: leaves out whatever can be left out while it still fails."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, TypeVar

from tests.unit.policy.case import default_of, is_default

Thing = TypeVar("Thing")

AS_IT_IS = {"id", "name", "effect", "actions", "spans", "userns", "instance"}
"""Fields that have nothing to leave out, or would mean something else without it."""


def smallest(thing: Thing, fails: Callable[[Thing], bool]) -> Thing:
    """The same with everything left out that isn't needed for `fails` to be true of it."""
    while (smaller := next((one for one in simpler(thing) if fails(one)), None)) is not None:
        thing = smaller
    return thing


def simpler(value: Any) -> Iterator[Any]:
    """The value with one thing less, each way there is; sets and globs keep one member."""
    if is_dataclass(value) and not isinstance(value, type):
        yield from _simpler_fields(value)
    elif isinstance(value, list | tuple):
        yield from _simpler_sequence(value)
    elif isinstance(value, frozenset) and len(value) > 1:
        yield from (value - {member} for member in value)


def _simpler_fields(value: Any) -> Iterator[Any]:
    for field in fields(value):
        if field.name in AS_IT_IS:
            continue
        if default_of(field) is not MISSING and not is_default(value, field):
            yield replace(value, **{field.name: default_of(field)})
        yield from (replace(value, **{field.name: less}) for less in simpler(getattr(value, field.name)))


def _simpler_sequence(value: Any) -> Iterator[Any]:
    is_last_glob = len(value) == 1 and isinstance(value[0], str)
    if not is_last_glob:
        half = len(value) // 2
        yield from (value[:half], value[half:]) if half > 1 else ()
        yield from (value[:at] + value[at + 1 :] for at in range(len(value)))
    for at, member in enumerate(value):
        yield from (value[:at] + type(value)([less]) + value[at + 1 :] for less in simpler(member))
