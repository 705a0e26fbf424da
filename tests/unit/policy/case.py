"""A case: a request under some policies, and how a failure shows it."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import Request


@dataclass(frozen=True, slots=True)
class Case:
    """A request under some policies."""

    policies: Sequence[Policy]
    request: Request


def shown(value: Any) -> str:
    """A value as one would write it, without what is as it is by default."""
    if is_dataclass(value) and not isinstance(value, type):
        given = [field for field in fields(value) if field.repr and not is_default(value, field)]
        inside = ", ".join(f"{field.name}={shown(getattr(value, field.name))}" for field in given)
        return f"{type(value).__name__}({inside})"
    if isinstance(value, list | tuple):
        return f"({''.join(f'{shown(member)}, ' for member in value)})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(shown(member) for member in value))}}}"
    return value.name if isinstance(value, Enum) else repr(value)


def is_default(value: Any, field: "Field[Any]") -> bool:
    """Whether a field of a value is what it is where nothing is given."""
    return bool(getattr(value, field.name) == default_of(field))


def default_of(field: "Field[Any]") -> Any:
    """What the field is where nothing is given; MISSING where something must be."""
    return field.default_factory() if field.default_factory is not MISSING else field.default
