"""The desk: who calls on the enforcer's socket, and what each user and all together may use there."""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable

from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.errors import EnforcerError
from fdstorefs.enforcer.replies import failure
from fdstorefs.errors import Overloaded
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.server.loop import Loop
from fdstorefs.server.shares import Most
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.listening import DIRECTORY_MODE, listen_at, remove
from fdstorefs.server.varlink.reception import Limits, Reception
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender

# Descriptors are received and never sent.
LIMITS = Limits(Most(128, 4608), Most(1 << 25, 1 << 28), Most(1024, 8192), descriptors=0)
MOST_STUCK = 8
"""Threads that are stuck in closing what one user has sent; what others sent is closed by others."""
MOST_UNCLOSED = 1024
"""Of what one user has sent. A file of a FUSE server that does not answer stays open for as long as that likes."""

Answer = Callable[[Message, Sender, Caller], Reply | Activity | None]


class Desk:
    """All callers. `answer` carries a message out, `gone` is told when a caller's connection has ended."""

    def __init__(
        self,
        loop: Loop,
        listening: socket.socket,
        descriptors: Descriptors,
        answer: Answer,
        gone: Callable[[Caller], None],
    ) -> None:
        self._descriptors = descriptors
        self._answer = answer
        self._gone = gone
        self._callers: dict[Sender, Caller] = {}
        self.failure = failure
        self._reception = Reception(loop, listening, self, Subjects(), LIMITS)
        self._reception.begin()

    def close(self) -> None:
        """Accept no more callers and end all connections."""
        self._reception.close()

    def end_connections(self) -> None:
        """End those that there are; who comes back finds out how things stand."""
        self._reception.end_connections()

    # For the reception

    def admits(self, uid: int) -> bool:
        """Not who has sent too much that cannot be closed."""
        return self._descriptors.unclosed(uid) <= MOST_UNCLOSED

    def came(self, connected: socket.socket, sender: Sender) -> None:
        """Find out who it is while the connection is fresh."""
        self._callers[sender] = Caller(connected)

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer. Raises Malformed, Overloaded."""
        if not self.admits(sender.uid):
            raise Overloaded(
                f"what uid {sender.uid} has sent cannot be closed: its file servers do not answer"
            )
        return self._answer(message, sender, self._callers[sender])

    def discard(self, descriptor: int, sender: Sender) -> None:
        """Close a descriptor that a caller sent, without waiting."""
        self._descriptors.adopt(descriptor)
        self._descriptors.discard(descriptor, may_block=True, sender=sender.uid)

    def waits(self, descriptor: int) -> None:
        """The kernel withholds nothing that comes here."""

    def left(self, sender: Sender) -> None:
        """Let go of the caller."""
        caller = self._callers.pop(sender)
        self._gone(caller)
        caller.close()


class Door:
    """The listening socket and its place, which one enforcer has at a time."""

    def __init__(self, path: str) -> None:
        """Raises EnforcerError if another enforcer runs, or the socket cannot be made."""
        self._path = path
        directory = os.path.dirname(path)
        try:
            os.makedirs(directory, DIRECTORY_MODE, exist_ok=True)
            _check_directory(directory)
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EnforcerError(
                f"cannot serve at `{path}`: {error.strerror}", hint="run it as root"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.listening = listen_at(path)
        except BlockingIOError as error:
            os.close(self._lock)
            raise EnforcerError(
                f"another enforcer runs: it holds `{path}.lock`",
                hint="there is one for each host; stop it first",
            ) from error
        except OSError as error:
            os.close(self._lock)
            raise EnforcerError(f"cannot serve at `{path}`: {error.strerror}") from error

    def close(self, *, leave: bool = False) -> None:
        """Let another enforcer in. The socket goes unless we `leave` it, so that servers know one is expected."""
        self.listening.close()
        if not leave:
            remove(self._path)
        os.close(self._lock)


def _check_directory(directory: str) -> None:
    """Who can write there could put a socket of his own in the place of ours."""
    found = os.stat(directory)
    if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(errno.EPERM, f"`{directory}` is not root's alone")
