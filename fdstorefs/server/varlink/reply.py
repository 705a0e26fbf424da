"""Replies: what goes back to the client, encoded."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fdstorefs.core.node import OpenFile
from fdstorefs.errors import StoreError
from fdstorefs.interface import NAME, description
from fdstorefs.server.varlink.standard import StandardError

MAX_REPLY = 1 << 24
"""Most bytes of one reply: as many as clients are willing to hold."""

# ASCII, so that a name that is not UTF-8 (lone surrogates) goes through as it came.
dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_declared = frozenset(re.findall(r"^error (\w+)", description(), re.MULTILINE))


class Landed(Protocol):
    """Called once, with whether it is certain that nobody can receive the descriptors of a reply any more."""

    @property
    def files(self) -> Sequence[OpenFile]:
        """Those that are held until then."""

    def __call__(self, arrived: bool, /) -> None:
        """It is over."""


@dataclass(slots=True)
class Reply:
    """Bytes, the descriptors beside them, and what to do once the kernel has taken these.

    That may give what else to do once the client has received them, or never will.
    """

    data: bytes
    descriptors: list[int] | None = None
    sent: Callable[[], Landed | None] | None = None


def success(parameters: dict[str, Any], *, continues: bool = False) -> Reply:
    """A reply with these parameters."""
    return encoded(dump(parameters), continues=continues)


def encoded(parameters: str, *, continues: bool = False) -> Reply:
    """A reply whose parameters are JSON already."""
    tail = ',"continues":true}\0' if continues else "}\0"
    return Reply(f'{{"parameters":{parameters}{tail}'.encode("ascii"))


def failure(error: StoreError | StandardError) -> Reply:
    """The error reply that stands for an exception."""
    if isinstance(error, StandardError):
        return _failure(error.identifier, error.parameters)
    identifier = error.identifier if error.identifier in _declared else StoreError.identifier
    told = {"message": error.message, "name": error.name, "hint": error.hint}
    if isinstance(error, PermissionError):
        told |= {"reason": error.reason, "decision": error.decision}
    return _failure(f"{NAME}.{identifier}", {key: value for key, value in told.items() if value is not None})


def _failure(identifier: str, parameters: dict[str, Any]) -> Reply:
    return Reply(dump({"error": identifier, "parameters": parameters}).encode("ascii") + b"\0")
