"""Standing still: nothing is read from clients, nothing goes by itself, and what has happened is on record."""

import logging
from collections.abc import Callable

from fdstorefs.server.upgrading.parts import Parts

log = logging.getLogger(__name__)


class StandingStill:
    """One time of it, which lasts until all goes on here, or for ever, if it goes on elsewhere."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._awaited = 0
        self._is_on = False

    def begin(self, done: Callable[[], None]) -> None:
        """Come to a standstill, then call `done`."""
        parts = self._parts
        self._is_on = True
        parts.lapses.rest()
        parts.policies.close()
        # The records of what is under way come last.
        self._awaited = 2
        for server in (parts.mount_server, parts.socket_server):
            server.freeze(lambda: self._one_stands(done))

    def _one_stands(self, done: Callable[[], None]) -> None:
        self._awaited -= 1
        if self._is_on and not self._awaited:
            self._parts.audit.settle(lambda: self._settled(done))

    def _settled(self, done: Callable[[], None]) -> None:
        if self._is_on:
            done()

    def end(self) -> None:
        """Go on here. Harmless if nothing ever stood still."""
        if not self._is_on:
            return
        self._is_on = False
        parts = self._parts
        parts.mount_server.thaw()
        parts.socket_server.thaw()
        parts.lapses.begin()
        try:
            parts.policies.start()
        except OSError as error:
            log.error("policies: changes go unnoticed from now on: %s", error.strerror)
