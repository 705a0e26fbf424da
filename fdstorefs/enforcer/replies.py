"""Error replies of the enforcer's interface."""

from functools import cache
from typing import Any

from fdstorefs.enforcer.errors import EnforcerError
from fdstorefs.errors import StoreError
from fdstorefs.interface.enforcer import NAME, description
from fdstorefs.server.varlink.reply import Failures, Reply
from fdstorefs.server.varlink.standard import StandardError


def failure(error: StoreError | StandardError) -> Reply:
    """The error reply that stands for an exception."""
    return _failures().reply(error)


@cache
def _failures() -> Failures:
    return Failures(NAME, description(), _details)


def _details(error: StoreError) -> dict[str, Any]:
    told: dict[str, Any] = {"message": error.message, "name": error.name, "hint": error.hint}
    return told | error.details if isinstance(error, EnforcerError) else told
