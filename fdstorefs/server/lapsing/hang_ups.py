"""Hang-ups: one epoll set with all open files that can hang up, for no event but that.

It is a set of its own, inside the loop's: there the same descriptors are registered by whoever waits to read or write.
"""

import logging
import select
from collections.abc import Callable

from fdstorefs.core.node import OpenFile
from fdstorefs.host.hang_up import can_hang_up, has_hung_up
from fdstorefs.server.loop import Loop

AT_ONCE = 64

Gone = Callable[[OpenFile, str], None]

log = logging.getLogger(__name__)


class HangUps:
    """Calls `gone` with each watched file that is hung up, and what the kernel says of it."""

    def __init__(self, loop: Loop, gone: Gone) -> None:
        self._loop = loop
        self._gone = gone
        self._epoll = select.epoll()
        self._watched: dict[int, OpenFile] = {}
        loop.register(self._epoll.fileno(), self._came)

    def watch(self, file: OpenFile) -> None:
        """Watch a file, if that is possible. What is hung up already is told of in the next turn of the loop."""
        descriptor = file.descriptor
        if descriptor in self._watched:
            self._epoll.modify(descriptor, select.EPOLLET)
            return
        if not can_hang_up(descriptor, file.kind, file.access):
            return
        try:
            # Edges: what can't go now, for its box is sealed, must not be reported again and again.
            self._epoll.register(descriptor, select.EPOLLET)
        except PermissionError:
            return
        except OSError as error:
            log.warning("an open file cannot be watched, and stays when it is hung up: %s", error.strerror)
            return
        self._watched[descriptor] = file

    def forget(self, file: OpenFile) -> None:
        """Watch it no more. Must come before its descriptor is closed. Harmless if it is not watched."""
        if self._watched.pop(file.descriptor, None) is not None:
            self._epoll.unregister(file.descriptor)

    def look(self, file: OpenFile) -> None:
        """Look again at a file that was told of."""
        if self._watched.get(file.descriptor) is file:
            cause = has_hung_up(file.descriptor, file.kind)
            if cause is not None:
                self._gone(file, cause)

    def _came(self, _events: int) -> None:
        for descriptor, _ in self._epoll.poll(0, AT_ONCE):
            file = self._watched.get(descriptor)
            if file is not None:
                self.look(file)

    def rest(self) -> None:
        """Tell of nothing until `go_on`."""
        self._loop.unregister(self._epoll.fileno())

    def go_on(self) -> None:
        """Tell again; what is to be looked at is to be watched anew."""
        self._loop.register(self._epoll.fileno(), self._came)

    def close(self) -> None:
        """Watch nothing any more."""
        self._loop.unregister(self._epoll.fileno())
        self._epoll.close()
        self._watched.clear()
