"""Replies and errors of the enforcer's interface, encoded."""

import re
from functools import cache
from typing import Any

from fdstorefs.enforcer.errors import EnforcerError
from fdstorefs.errors import StoreError
from fdstorefs.interface.enforcer import NAME, description
from fdstorefs.server.varlink.reply import Reply, dump
from fdstorefs.server.varlink.standard import StandardError


@cache
def declared() -> frozenset[str]:
    """The errors that the interface has."""
    return frozenset(re.findall(r"^error (\w+)", description(), re.MULTILINE))


def failure(error: StoreError | StandardError) -> Reply:
    """The error reply that stands for an exception."""
    if isinstance(error, StandardError):
        return _encoded(error.identifier, error.parameters)
    identifier = error.identifier if error.identifier in declared() else StoreError.identifier
    told: dict[str, Any] = {"message": error.message, "name": error.name, "hint": error.hint}
    if isinstance(error, EnforcerError):
        told |= error.details
    return _encoded(f"{NAME}.{identifier}", {key: value for key, value in told.items() if value is not None})


def _encoded(identifier: str, parameters: dict[str, Any]) -> Reply:
    return Reply(dump({"error": identifier, "parameters": parameters}).encode("ascii") + b"\0")
