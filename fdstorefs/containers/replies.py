"""Replies and errors of the service's interface, encoded."""

from functools import cache
from typing import Any

from fdstorefs.containers.record import Record
from fdstorefs.errors import StoreError
from fdstorefs.interface.host import NAME, description
from fdstorefs.server.varlink.reply import Failures, Reply
from fdstorefs.server.varlink.standard import StandardError


def failure(error: StoreError | StandardError) -> Reply:
    """The error reply that stands for an exception."""
    return _failures().reply(error)


@cache
def _failures() -> Failures:
    return Failures(NAME, description(), lambda error: {"message": error.message, "hint": error.hint})


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
