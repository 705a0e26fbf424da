"""The desk: who calls on the service's socket, and what each and all together may use there."""

import socket
from collections.abc import Callable

from fdstorefs.containers.asker import Asker
from fdstorefs.containers.places import CONNECTIONS, MOST_CONNECTIONS, Places, Standing
from fdstorefs.containers.replies import failure
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop
from fdstorefs.server.shares import Most
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reception import Limits, Reception
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender

_ALL = Most(MOST_CONNECTIONS, MOST_CONNECTIONS)
# Descriptors are received and never sent. A container has more users than there are places, so all together may have
# what as many users as there are places may: then nothing but places runs out, and there who is idle gives way. Who may
# have how many places is the desk's to say: it knows who belongs together.
LIMITS = Limits(
    _ALL,
    Most(1 << 16, _ALL.total << 16),
    Most(64, _ALL.total * 64),
    descriptors=0,
    idle_give_way=True,
)
MOST_UNCLOSED = 64
"""Of what one user has sent. A file of a FUSE server that does not answer stays open for as long as that likes."""

Answer = Callable[[Message, Sender, Asker], Reply | Activity | None]


class Desk:
    """All askers. `answer` carries a message out, and `is_server` says of a process whether it serves an instance."""

    def __init__(
        self,
        loop: Loop,
        listening: socket.socket,
        descriptors: Descriptors,
        answer: Answer,
        is_server: Callable[[int], bool],
    ) -> None:
        self._loop = loop
        self._is_server = is_server
        self._places = Places(CONNECTIONS)
        self._descriptors = descriptors
        self._answer = answer
        self._askers: dict[Sender, Asker] = {}
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
        asker = self._askers[sender] = Asker(connected, self._is_server)
        self._places.take(asker.standing)
        if self._places.over(asker.standing) is not None:
            # In the next turn: it is not yet among those who may have to go.
            self._loop.call_soon(lambda: self._make_way(asker.standing))

    def _make_way(self, standing: Standing) -> None:
        """One too many has come: of those with such a place the first goes; without a call, if there is one."""
        if self._places.over(standing) is None:
            return
        too_many = [
            client
            for client in self._reception.clients
            if self._places.gives_way(standing, self._askers[client.sender].standing)
        ]
        min(too_many, key=lambda client: not client.is_idle).close()

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
        asker = self._askers.pop(sender)
        self._places.give_back(asker.standing)
        asker.close()
