"""The sender of a message: a subject made from what the kernel attached to it.

Uid, gid and pid were true when the message was sent. What else a decision asks for is known of the process that
made the connection only (see `peer`). Of every other sender the rest is unknown, which is not the same as none.
"""

import socket

from fdstorefs.core.subject import NOTHING_TOLD, Facts, Subject
from fdstorefs.server.kernel_facts import Home
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.ancillary import UCRED
from fdstorefs.server.varlink.peer import HeldPeer, LatestDetails, Peer, PeerFacts
from fdstorefs.server.varlink.session import Session


class Sender:
    """Makes the subjects of one connection. Of descriptors it has no more than a `Peer`.

    `held` is what another server had of the peer, in whose place this one goes on.
    """

    def __init__(self, connected: socket.socket, subjects: Subjects, held: HeldPeer | None = None) -> None:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        self.pid, self.uid, _ = UCRED.unpack(credentials)
        self._home = subjects.home
        self._peer = Peer(connected, self.pid, held)
        self._latest_credentials = credentials
        self._latest = _Whoever(self._home, self._peer, credentials)
        self.session = Session()
        """What this connection does in several calls."""

    def subject(self, credentials: bytes) -> Subject:
        """The subject behind a `struct ucred`. A new one each time: what is looked up is kept in it."""
        if credentials != self._latest_credentials:
            self._latest = _Whoever(self._home, self._peer, credentials)
            self._latest_credentials = credentials
        return self._latest.subject()

    @property
    def held(self) -> HeldPeer:
        """What the process is held by."""
        return self._peer.held

    def close(self) -> None:
        """Let go of the process, and of what it has begun."""
        self.session.close()
        self._peer.close()


class _Whoever:
    """What all subjects have in common whose messages came with the same credentials."""

    __slots__ = ("_details", "_gid", "_home", "_known", "_peer", "_pid", "_uid")

    def __init__(self, home: Home, peer: Peer, credentials: bytes) -> None:
        self._pid, self._uid, self._gid = UCRED.unpack(credentials)
        self._known = home.knows_uid(self._uid)
        self._home = home
        self._peer = peer
        self._details = LatestDetails()

    def subject(self) -> Subject:
        """A new subject."""
        return Subject(
            self._uid, self._gid, self._pid, known=self._known, look_up=self._look_up, via="socket"
        )

    def _look_up(self) -> Facts:
        task = self._peer.task() if self._pid == self._peer.pid else None
        if task is None:
            return NOTHING_TOLD
        return PeerFacts(self._home, task, self._uid, self._gid, self._details)
