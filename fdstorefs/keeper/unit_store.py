"""systemd's store of file descriptors for our unit: what is in it comes back when the unit is started again.

One message has one descriptor, and its name. systemd answers none, and looks up who has sent a message when it
takes it from its queue: if that process is dead by then, the message is nobody's. So whoever has to rely on it waits
until systemd has closed a pipe end that it was sent after the rest: then what came before is done.

systemd asks a file for its attributes when it is told to keep it, and compares it with all that it has; it drops
without a word what is one too many. See sd_notify(3), FDSTORE=1.
"""

import array
import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

PREFIX = "fdstorefs-"
RECORD = f"{PREFIX}record"
JOURNAL = f"{PREFIX}journal-"
_PROBE = f"{PREFIX}probe"

MOST_NAME_BYTES = 128 * 1024 - len("LISTEN_FDNAMES=") - 1
"""Names, with a colon after each, come back in one string of the environment, and this is how long that can be."""

_MORE_FOR_EACH = 0.02
"""Seconds: systemd compares each descriptor with all that it has."""

_NO_ROOM = frozenset({errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM})


class Busy(Exception):
    """systemd has not done in time what it was told."""


class _Message(NamedTuple):
    """`name` is of what is to be stored, and empty for anything else. A barrier's descriptor is ours to close."""

    text: str
    name: str = ""
    descriptor: int = -1
    is_barrier: bool = False


def name_of(number: int) -> str:
    """What the open file with a number is called there."""
    return f"{PREFIX}{number}"


def journal_name(descriptor: int) -> str:
    """What a journal is called there: no two journals at a time have the same inode number."""
    return f"{JOURNAL}{os.fstat(descriptor).st_ino}"


def number_of(name: str) -> int | None:
    """The opposite of `name_of`. None for any other name."""
    digits = name.removeprefix(PREFIX)
    return int(digits) if digits != name and digits.isascii() and digits.isdigit() else None


class UnitStore:
    """Our side of it. `address` is $NOTIFY_SOCKET. Messages are sent in their order, first those that had no room.

    Raises OSError if there is nobody at the address.
    """

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        # A leading @ stands for the NUL of an abstract address.
        self._socket.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        self._queue: deque[_Message] = deque()
        self._late = -1

    def store(self, items: Iterable[tuple[str, int]], patience: float) -> None:
        """Have descriptors there under their names: they are, when this returns.

        Raises Busy if that takes longer than so many seconds (and a little more if they are many), or would as long as
        systemd has not caught up: then they are not, or are on their way out again.
        """
        self._check_it_caught_up()
        items = list(items)
        until = time.monotonic() + patience + len(items) * _MORE_FOR_EACH
        self._queue += [
            _Message(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", name, descriptor) for name, descriptor in items
        ]
        done = self.barrier()
        try:
            self._send_until(until)
            if not _wait(done, until):
                raise Busy("it has not taken up in time what it was sent")
        except Busy:
            self._withdraw([name for name, _ in items])
            self._late, done = done, -1
            raise
        finally:
            if done >= 0:
                os.close(done)

    def keeps(self, patience: float) -> bool:
        """Whether systemd keeps what this process sends: it tells nobody when it doesn't. Raises Busy, OSError."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self.store([(_PROBE, reader)], patience)
            os.close(reader)
            reader = -1
            waiting = select.poll()
            waiting.register(writer, 0)
            return not waiting.poll(0)  # without a reader it is in error
        finally:
            for end in (reader, writer):
                if end >= 0:
                    os.close(end)
            self.remove([_PROBE])
            self.send()

    def remove(self, names: Iterable[str]) -> None:
        """Have what has these names there no longer. `send` sends it."""
        self._queue += [_Message(f"FDSTOREREMOVE=1\nFDNAME={name}") for name in names]

    def say(self, text: str) -> None:
        """Tell systemd something else. `send` sends it."""
        self._queue.append(_Message(text))

    def barrier(self) -> int:
        """A pipe end that hangs up when all of the above is done. The caller's to close; `send` sends the other end."""
        ours, its = os.pipe2(os.O_CLOEXEC)
        self._queue.append(_Message("BARRIER=1", descriptor=its, is_barrier=True))
        return ours

    def send(self) -> bool:
        """Send what there is room for. Whether that was all."""
        try:
            self._send_until(0)
        except Busy:
            return False
        return True

    def finish(self, patience: float) -> bool:
        """Send all, and wait until it is done, but no longer than so many seconds. Whether it is."""
        until, done = time.monotonic() + patience, self.barrier()
        try:
            self._send_until(until)
            return _wait(done, until)
        except Busy:
            return False
        finally:
            os.close(done)

    def close(self) -> None:
        """Say no more."""
        self._socket.close()
        for message in self._queue:
            if message.is_barrier:
                os.close(message.descriptor)
        self._queue.clear()
        if self._late >= 0:
            os.close(self._late)

    def _check_it_caught_up(self) -> None:
        """One that is stuck must not cost every client so much."""
        if self._late < 0:
            return
        if not (self.send() and _wait(self._late, 0)):
            raise Busy("it has not taken up what it was sent earlier")
        os.close(self._late)
        self._late = -1

    def _withdraw(self, names: list[str]) -> None:
        unsent = {message.name for message in self._queue if message.name}
        self._queue = deque(message for message in self._queue if not message.name)
        self.remove(name for name in names if name not in unsent)
        self.send()

    def _send_until(self, until: float) -> None:
        while self._queue:
            message = self._queue[0]
            beside = array.array("i", [message.descriptor] if message.descriptor >= 0 else [])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, beside)] if beside else []
            try:
                self._socket.sendmsg([message.text.encode()], rights, socket.MSG_NOSIGNAL)
            except OSError as error:
                self._wait_for_room(error, until)
                continue
            self._queue.popleft()
            if message.is_barrier:
                os.close(message.descriptor)

    def _wait_for_room(self, error: OSError, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0 or error.errno not in _NO_ROOM:
            raise Busy(error.strerror)
        if error.errno == errno.EAGAIN:
            waiting = select.poll()
            waiting.register(self._socket, select.POLLOUT)
            waiting.poll(1000 * left)
        else:
            # Nothing tells when systemd has received what others of this user have sent.
            time.sleep(min(left, 0.002))


def _wait(pipe: int, until: float) -> bool:
    """Whether the other end is closed by then."""
    waiting = select.poll()
    waiting.register(pipe, 0)
    return bool(waiting.poll(max(0.0, 1000 * (until - time.monotonic()))))
