"""Drives pyfuse3 by hand: one request in, its answer out, in the same call, without an event loop.

pyfuse3 reads from a socket pair that it takes for /dev/fuse, and awaits on `trio` only between two requests.
Its handlers for names never wait for anything, so a stand-in for trio whose `wait_readable` merely yields
turns its main loop into a coroutine that serves one request each time it is stepped.
"""

import contextlib
import logging
import mmap
import socket
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol

log = logging.getLogger(__name__)

Session = Coroutine[Any, None, None]

# Requests and answers are shorter than 128 KiB and their headers.
_LARGEST_MESSAGE = 1 << 18


class ClosedResourceError(Exception):
    """What trio raises when a descriptor is closed under a waiting task. Never raised here."""


class _Lock:
    """A lock for one task."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_exception: object) -> None:
        pass


class _Nursery:
    """Runs its tasks one after the other; there is one."""

    def __init__(self) -> None:
        self._tasks: list[Coroutine[Any, None, None]] = []

    async def __aenter__(self) -> "_Nursery":
        return self

    def start_soon(self, function: Callable[..., Session], *arguments: Any, name: str) -> None:  # noqa: ARG002
        self._tasks.append(function(*arguments))

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            await task


class _Task:
    name = "fdstorefs"


@types.coroutine
def _wait_readable(_descriptor: int) -> Generator[None, None, None]:
    yield


def stand_in_for_trio() -> Any:
    """All of trio that pyfuse3 uses, for a main loop that is stepped."""
    lowlevel = types.SimpleNamespace(
        current_task=_Task,
        current_trio_token=lambda: None,
        notify_closing=lambda _descriptor: None,
        wait_readable=_wait_readable,
    )
    return types.SimpleNamespace(
        ClosedResourceError=ClosedResourceError, Lock=_Lock, lowlevel=lowlevel, open_nursery=_Nursery
    )


class Library(Protocol):
    """What of pyfuse3 the driver needs."""

    def attach(self, device: str) -> None:
        """Make a session that reads requests from `device` and answers there."""
        ...

    def session(self) -> Session:
        """The main loop. It suspends where it waits for the next request."""
        ...

    def detach(self) -> None:
        """End the session and close its descriptor."""
        ...


class Driver:
    """A pyfuse3 session that answers one request at a time. There can be one in a process."""

    def __init__(self, library: Library) -> None:
        self._library = library
        # As the device's buffer: most of it is never touched.
        self._answer = mmap.mmap(-1, _LARGEST_MESSAGE, mmap.MAP_PRIVATE)
        self._view = memoryview(self._answer)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests = ours
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_MESSAGE)
        ours.setblocking(False)
        # The session owns its end from here on and closes it.
        library.attach(f"/dev/fd/{theirs.detach()}")
        self._session = self._start()

    def _start(self) -> Session:
        session = self._library.session()
        session.send(None)
        return session

    def exchange(self, request: memoryview) -> bytes | None:
        """Give pyfuse3 one request. Returns its answer, or None if it made none."""
        self._requests.send(request)
        self._step()
        try:
            length = self._requests.recv_into(self._answer)
        except BlockingIOError:
            return None
        return bytes(self._view[:length])

    def _step(self) -> None:
        try:
            self._session.send(None)
        except StopIteration:
            # After DESTROY, or INIT from a kernel that it cannot serve: the next one ends at once as well.
            log.info("the FUSE session has ended")
            self._restart()
        except Exception:
            log.exception("the FUSE session failed at a request; it goes on with the next one")
            self._restart()

    def _restart(self) -> None:
        with contextlib.suppress(StopIteration):
            self._session = self._start()

    def close(self) -> None:
        """End the session."""
        self._session.close()
        self._library.detach()
        self._requests.close()
