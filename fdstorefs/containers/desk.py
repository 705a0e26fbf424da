"""The desk: who calls on the service's socket, and what each user and all together may use there."""

import socket
from collections.abc import Callable

from fdstorefs.containers.replies import failure
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop
from fdstorefs.server.shares import Most
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.maker import Maker
from fdstorefs.server.varlink.reception import Limits, Reception
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender

# Descriptors are received and never sent. A container has more users than there are places, so all together may have
# what as many users as there are places may: then nothing but places runs out, and there who is idle gives way.
_PLACES = Most(64, 1024)
LIMITS = Limits(
    _PLACES,
    Most(1 << 16, _PLACES.total << 16),
    Most(64, _PLACES.total * 64),
    descriptors=0,
    idle_give_way=True,
)
MOST_UNCLOSED = 64
"""Of what one user has sent. A file of a FUSE server that does not answer stays open for as long as that likes."""

Answer = Callable[[Message, Sender, Maker], Reply | Activity | None]


class Desk:
    """All askers. `answer` carries a message out."""

    def __init__(
        self, loop: Loop, listening: socket.socket, descriptors: Descriptors, answer: Answer
    ) -> None:
        self._descriptors = descriptors
        self._answer = answer
        self._askers: dict[Sender, Maker] = {}
        self.failure = failure
        self._reception = Reception(loop, listening, self, Subjects(), LIMITS)
        self._reception.begin()

    def close(self) -> None:
        """Accept no more and end all connections."""
        self._reception.close()

    # For the reception

    def admits(self, uid: int) -> bool:
        """Not who has sent too much that cannot be closed."""
        return self._descriptors.unclosed(uid) <= MOST_UNCLOSED

    def came(self, connected: socket.socket, sender: Sender) -> None:
        """Find out who it is while the connection is fresh."""
        self._askers[sender] = Maker(connected)

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed."""
        return self._answer(message, sender, self._askers[sender])

    def discard(self, descriptor: int, sender: Sender) -> None:
        """Close a descriptor that somebody sent, without waiting."""
        self._descriptors.adopt(descriptor)
        self._descriptors.discard(descriptor, may_block=True, sender=sender.uid)

    def waits(self, descriptor: int) -> None:
        """The kernel withholds nothing that comes here."""

    def left(self, sender: Sender) -> None:
        """Let go of the asker."""
        self._askers.pop(sender).close()
