"""What the old server and the new one say to each other, on a SOCK_SEQPACKET pair: one message is one JSON object.

`say` is what it is: from the old one `hello`, `state`, `register`, `answered`,
`given-back`; from the new one `prepared`, `built`,
`taken`, `serving`, `interrupt`, or at any time before it serves `failed`, with `why` and `hint`. What may be long
(`prepared`, `state`) has its JSON in the first of its descriptors, and says how many come with it, the rest of them in
messages `more`.
"""

import array
import errno
import json
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from fdstorefs.keeper.packets import receive_packet

VERSION = 1
"""Of this conversation. The old server says it first, and a new one that does not know it refuses."""

MOST_DESCRIPTORS = 253
_MOST_BYTES = 1 << 16
_SPACE = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)


class Message(NamedTuple):
    """One message. The descriptors are the receiver's."""

    say: str
    told: dict[str, Any]
    descriptors: list[int]


class TalkEnded(Exception):
    """There is nobody at the other end, or nobody who makes sense."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


class Talk:
    """One end. What is said or heard raises TalkEnded."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setblocking(False)

    def fileno(self) -> int:
        """To wait until there is something to hear."""
        return self._socket.fileno()

    @property
    def has_ended(self) -> bool:
        """Whether the other end is closed, whatever has yet to be heard. Raises nothing."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def say(self, what: str, descriptors: Sequence[int] = (), seconds: float = 2.0, **told: Any) -> None:
        """Send a message; waits for room for so long at most."""
        data = json.dumps({**told, "say": what}).encode()
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._socket.sendmsg([data], rights, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise _ended(error) from error
            else:
                return

    def say_much(self, what: str, descriptors: Sequence[int] = (), **told: Any) -> None:
        """Send a message that may be long, with any number of descriptors."""
        memory = os.memfd_create("fdstorefs-state", os.MFD_CLOEXEC)
        try:
            with open(memory, "wb", closefd=False) as file:
                file.write(json.dumps(told).encode())
            whole = [memory, *descriptors]
            self.say(what, whole[:MOST_DESCRIPTORS], count=len(whole))
            for start in range(MOST_DESCRIPTORS, len(whole), MOST_DESCRIPTORS):
                self.say("more", whole[start : start + MOST_DESCRIPTORS])
        finally:
            os.close(memory)

    def hear(self) -> Message | None:
        """The next message, None if there is none yet."""
        try:
            data, beside, flags = receive_packet(self._socket, _MOST_BYTES, _SPACE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _ended(error) from error
        descriptors = array.array("i")
        for level, kind, rights in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
        if not data:
            raise TalkEnded("the other server has ended")
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise TalkEnded("not all of a message has arrived")
        return _message(data, list(descriptors))

    def await_message(self, *expected: str, seconds: float) -> Message:
        """The next message, which is one of those expected, within so many seconds."""
        deadline = time.monotonic() + seconds
        while (message := self.hear()) is None:
            self._wait(select.POLLIN, deadline)
        if message.say not in expected:
            raise TalkEnded(f"the other server says `{message.say}`, not {' or '.join(expected)}")
        return message

    def whole(self, first: Message, seconds: float = 2.0) -> Message:
        """What `say_much` has sent, of which the first message is here."""
        descriptors = first.descriptors
        while len(descriptors) < first.told.get("count", 0):
            descriptors += self.await_message("more", seconds=seconds).descriptors
        if not descriptors:
            raise TalkEnded(f"`{first.say}` came with nothing")
        with open(descriptors.pop(0), "rb") as file:
            file.seek(0)
            return Message(first.say, json.load(file), descriptors)

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _wait(self, events: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._socket, events)
        if not poll.poll(1000 * max(deadline - time.monotonic(), 0)):
            raise TalkEnded("the other server takes too long")


def _ended(error: OSError) -> TalkEnded:
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return TalkEnded("the other server has ended")
    return TalkEnded(f"the other server cannot be reached: {error.strerror}")


def _message(data: bytes, descriptors: list[int]) -> Message:
    try:
        told = json.loads(data)
        return Message(told.pop("say"), told, descriptors)
    except (ValueError, KeyError, AttributeError) as error:
        raise TalkEnded("the other server says what makes no sense") from error
