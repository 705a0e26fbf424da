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


class Failures:
    """The error replies of one interface: exceptions in its words.

    `details` are an exception's parameters there; None is not told.
    """

    def __init__(
        self, interface: str, definition: str, details: Callable[[StoreError], dict[str, Any]]
    ) -> None:
        self._interface = interface
        self._declared = frozenset(re.findall(r"^error (\w+)", definition, re.MULTILINE))
        self._details = details

    def reply(self, error: StoreError | StandardError) -> Reply:
        """The one that stands for an exception."""
        if isinstance(error, StandardError):
            return _failure(error.identifier, error.parameters)
        identifier = error.identifier if error.identifier in self._declared else StoreError.identifier
        told = {key: value for key, value in self._details(error).items() if value is not None}
        return _failure(f"{self._interface}.{identifier}", told)


def _details(error: StoreError) -> dict[str, Any]:
    told = {"message": error.message, "name": error.name, "hint": error.hint}
    if isinstance(error, PermissionError):
        told |= {"reason": error.reason, "decision": error.decision}
    return told


failure = Failures(NAME, description(), _details).reply
"""The error reply of a store that stands for an exception."""


def _failure(identifier: str, parameters: dict[str, Any]) -> Reply:
    return Reply(dump({"error": identifier, "parameters": parameters}).encode("ascii") + b"\0")
