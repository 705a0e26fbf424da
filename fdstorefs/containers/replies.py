"""Replies and errors of the service's interface, encoded."""

import re
from functools import cache
from typing import Any

from fdstorefs.containers.record import Record
from fdstorefs.errors import StoreError
from fdstorefs.interface.host import NAME, description
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
    told = {"message": error.message, "hint": error.hint}
    return _encoded(f"{NAME}.{identifier}", {key: value for key, value in told.items() if value is not None})


def instance(record: Record) -> dict[str, Any]:
    """An instance as the interface has it."""
    server = record.server
    return {
        "name": record.name,
        "mount": record.mount,
        "keeper": record.keeper.pid,
        "server": server.pid if server is not None and server.is_there else None,
        "first": record.first.pid,
        "uid": record.uid,
    }


def _encoded(identifier: str, parameters: dict[str, Any]) -> Reply:
    return Reply(dump({"error": identifier, "parameters": parameters}).encode("ascii") + b"\0")
