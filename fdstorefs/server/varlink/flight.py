"""Descriptors in flight: sent to a client and not yet received by it.

The kernel lets a user have no more of them than RLIMIT_NOFILE, over all its sockets, and then refuses every
further one (ETOOMANYREFS). So a client that calls and never reads could make the server unable to send
descriptors to anybody. Therefore those of each connection are counted until the client has read everything
(SIOCOUTQ), and there is a bound for one connection, for one user, and for all.
"""

import fcntl
import socket
from collections.abc import Callable, Iterable
from struct import Struct

from fdstorefs.errors import Overloaded
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.shares import Share, Shares

SIOCOUTQ = 0x5411
INT = Struct("i")
SMALLEST_PACKET = 256
"""No packet counts for less. The kernel wakes us when the last one goes and only then counts its last byte."""
PER_CONNECTION = 512
STEP = 64
USERS_PART = 16
ALL_PART = 2


def bounds(limit: int) -> Shares:
    """The bounds for a process that may have `limit` descriptors."""
    return Shares(max(limit // USERS_PART, MAX_DESCRIPTORS), max(limit // ALL_PART, MAX_DESCRIPTORS))


def has_read_everything(connected: socket.socket) -> bool:
    """Whether nothing of what was sent still waits for the peer."""
    answer = fcntl.ioctl(connected.fileno(), SIOCOUTQ, bytes(INT.size))
    return int(INT.unpack(answer)[0]) < SMALLEST_PACKET


class Flight:
    """The descriptors in flight on one connection. `others` gives those of all connections of this user.

    The user's share is asked for in steps, and what was got is kept, so that most calls need not ask.
    """

    __slots__ = ("_count", "_most", "_others", "_share", "_socket")

    def __init__(
        self, connected: socket.socket, shares: Shares, uid: int, others: Callable[[], Iterable["Flight"]]
    ) -> None:
        self._socket = connected
        self._others = others
        self._share = Share(shares, uid)
        self._count = 0
        self._most = min(PER_CONNECTION, shares.per_uid)

    def admits(self, more: int) -> bool:
        """Whether `more` may be sent now; False: when the client has read what is under way.

        Raises Overloaded if what is under way to others is in the way.
        """
        if self._count + more <= self._share.amount:
            return True
        has_landed = self.landed()
        if self._count + more > self._most and not has_landed:
            return False
        if self._reserve(more):
            return True
        for flight in self._others():
            flight.give_back()
        if self._reserve(more):
            return True
        if not has_landed:
            return False
        raise Overloaded(
            "too many descriptors are under way to clients that do not read",
            hint="receive the replies on the other connections of this user, or try again",
        )

    def landed(self) -> bool:
        """True if the client has read everything, which is then no longer counted."""
        if self._count and not has_read_everything(self._socket):
            return False
        self._count = 0
        return True

    def sent(self, count: int) -> None:
        """Count what the kernel has taken."""
        self._count += count

    @property
    def count(self) -> int:
        """How many are under way, as far as is known."""
        return self._count

    def go_on_with(self, count: int) -> None:
        """Begin with those that another server has sent."""
        self._count = count
        self._share.set(count)

    def give_back(self) -> None:
        """Keep no more of the user's share than is under way."""
        self.landed()
        self._share.set(self._count)

    def over(self) -> None:
        """The connection is closed: the kernel lets go of what was not read."""
        self._share.set(0)

    def _reserve(self, more: int) -> bool:
        needed = self._count + more - self._share.amount
        if needed <= 0:
            return True
        for amount in (max(needed, STEP), needed):
            if self._share.fits(amount):
                return self._share.set(self._share.amount + amount)
        return False
