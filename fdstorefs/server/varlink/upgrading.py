"""Upgrade: another program's server takes over from this one, and answers the call."""

import os
from typing import Any

from fdstorefs.core.subject import CAP_SYS_ADMIN, Subject
from fdstorefs.errors import NotPermitted, NotSupported
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange, say_parameters
from fdstorefs.server.varlink.call import Call


def upgrade(context: Context, call: Call) -> "Upgrading":
    """Begin one, and let the new server answer."""
    parameters.only(call.parameters, frozenset())
    return Upgrading(context, call.subject)


class Upgrading:
    """The activity of one Upgrade. It begins in one server and ends in another, unless that comes to nothing."""

    def __init__(self, context: Context, subject: Subject) -> None:
        self._context = context
        self._subject = subject

    def start(self, exchange: Exchange) -> None:
        """Begin it. What has begun goes on even if the caller leaves."""
        _require_owner(self._subject)
        if self._context.upgrade is None:
            raise NotSupported(
                "nobody could start the new program: the instance has no keeper, or does not serve yet",
                hint="end an instance that was started with `--no-keeper`, and start another without that",
            )
        self._context.upgrade(exchange.fail)

    def told(self) -> dict[str, Any]:
        """The call is all that there is to it."""
        return {}

    def resume(self, exchange: Exchange, _told: dict[str, Any]) -> None:
        """In the new server: it is done."""
        upgraded = self._context.upgraded
        assert upgraded is not None
        say_parameters(exchange, upgraded, continues=False)

    def drained(self) -> None:
        """Nothing was said."""

    def stop(self) -> None:
        """Nothing is held."""


def _require_owner(subject: Subject) -> None:
    """Raise NotPermitted for who neither runs the instance nor rules its user namespace."""
    if not subject.owns(os.geteuid()) and not subject.capable(CAP_SYS_ADMIN):
        raise NotPermitted(
            f"uid {subject.uid} may not upgrade this instance: uid {os.geteuid()} runs it",
            hint="the user who runs it may, and who has CAP_SYS_ADMIN over its user namespace",
        )
