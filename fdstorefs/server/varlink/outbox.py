"""The way out to one client: what the kernel takes at once, and the queue of what it does not."""

import errno
import socket
from collections import deque

from fdstorefs.errors import Overloaded
from fdstorefs.server.varlink.ancillary import pack
from fdstorefs.server.varlink.flight import Flight

SEND_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
MOST_AT_ONCE = 1 << 18


class Outbox:
    """Sends without ever waiting. `backlog` is how many bytes are queued; descriptors never are.

    Every method lets the OSError through that says that the client is gone.
    """

    __slots__ = ("_queue", "_sendmsg", "backlog", "flight")

    def __init__(self, connected: socket.socket, flight: Flight) -> None:
        self.flight = flight
        self.backlog = 0
        self._sendmsg = connected.sendmsg
        self._queue: deque[memoryview] = deque()

    def send(self, data: bytes) -> None:
        """Send, or queue what cannot be sent now."""
        taken = 0
        if not self.backlog:
            try:
                taken = self._sendmsg([data], (), SEND_FLAGS)
            except BlockingIOError:
                taken = 0
        if taken < len(data):
            self._append(memoryview(data)[taken:])

    def send_with_descriptors(self, data: bytes, descriptors: list[int]) -> bool:
        """Send at once, or do nothing at all and return False: the kernel has no room. Nothing may be queued.

        Once any of `data` is taken, so are the descriptors. Raises Overloaded when the kernel has too many
        descriptors under way already.
        """
        try:
            taken = self._sendmsg([data], pack(descriptors), SEND_FLAGS)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            raise Overloaded("too many descriptors are under way on this host", hint="try again") from None
        self.flight.sent(len(descriptors))
        if taken < len(data):
            self._append(memoryview(data)[taken:])
        return True

    @property
    def queued(self) -> bytes:
        """What is queued."""
        return b"".join(self._queue)

    def go_on_with(self, queued: bytes) -> None:
        """Begin with what another server could not send."""
        if queued:
            self._append(memoryview(queued))

    def flush(self) -> None:
        """Send of the queue what the kernel takes."""
        queue = self._queue
        while queue:
            part = queue[0][:MOST_AT_ONCE]
            try:
                taken = self._sendmsg([part], (), SEND_FLAGS)
            except BlockingIOError:
                return
            self.backlog -= taken
            if taken < len(queue[0]):
                queue[0] = queue[0][taken:]
            else:
                queue.popleft()

    def _append(self, rest: memoryview) -> None:
        self._queue.append(rest)
        self.backlog += len(rest)
