"""What server and keeper say to each other, on a SOCK_SEQPACKET pair: one message is one verb.

A message is a header (magic, version, verb, how many numbers), the numbers, then perhaps JSON. Descriptors come
beside it. What the server has sent is held: a descriptor in the queue stays open as long as the
keeper's end does, and the keeper reads the queue to its end before it starts another server.
"""

import array
import enum
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from fdstorefs.keeper.packets import receive_packet

VERSION = 1
MOST_DESCRIPTORS = 253
"""What the kernel takes with one message."""

_MAGIC = b"fdsk"
_HEADER = struct.Struct("=4sBBH")
_MOST_BYTES = 1 << 18
_SPACE = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)


class Verb(enum.IntEnum):
    """`KEEP` numbers and as many descriptors; `DROP` numbers, `DROP_SLOW` those whose close may block; `JOURNAL` and a
    memfd, instead of the former one; `NOTE` JSON that the next server gets, instead of the former; `READY`: it serves;
    `ENDING` and an exit code: it ends for good, and so does the keeper; `LOOK`: from now on there are files whose close
    may block, and with it the server's death: look after it. `SETTLED`, and 1 if the kernel guards this keeper from now
    on, 0 if it is not to: before anything is kept that is a client's.

    `SPARE`, a pid and a line: what a keeper says to each server. At the other end of that line waits who is to
    be keeper when this one is gone. `ADOPT` is for him: JSON, a pidfd of the server, our end of a line to it, and
    descriptors for every server to come. `ADOPTED` is what he says on that line: he is the keeper now.

    `UPGRADE` from a keeper: somebody wants a new program. From a server: start it as `HowToStart` (JSON) says, with all
    that is held and this descriptor, a line to that server, which serves on meanwhile. `SUCCEEDED` and the new one's
    pid: it has taken over; `STAY`: it will not, and is to be gone. `SERVE`, from the keeper to the new one: it is
    the server from now on.
    """

    KEEP = 1
    DROP = 2
    DROP_SLOW = 3
    JOURNAL = 4
    NOTE = 5
    READY = 6
    ENDING = 7
    SPARE = 8
    ADOPT = 9
    LOOK = 10
    SETTLED = 11
    UPGRADE = 12
    SUCCEEDED = 13
    SERVE = 14
    ADOPTED = 15
    STAY = 16


class Message(NamedTuple):
    """One message, and the descriptors that came with it; of a `short` one, some descriptors didn't."""

    verb: Verb
    numbers: tuple[int, ...]
    descriptors: list[int]
    told: dict[str, Any]
    short: bool = False


class NotUnderstood(Exception):
    """What came is no message of this version. Its descriptors are in `descriptors`."""

    def __init__(self, descriptors: list[int]) -> None:
        super().__init__("a message makes no sense")
        self.descriptors = descriptors


def line() -> tuple[socket.socket, socket.socket]:
    """Both ends of a new line; neither blocks."""
    ends = socket.socketpair(
        socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
    return ends


def send(
    end: socket.socket,
    verb: Verb,
    numbers: Sequence[int] = (),
    descriptors: Sequence[int] = (),
    told: dict[str, Any] | None = None,
) -> None:
    """Send one message. Raises OSError: BlockingIOError and ETOOMANYREFS if there is no room yet, EPIPE."""
    message = _HEADER.pack(_MAGIC, VERSION, verb, len(numbers)) + struct.pack(f"={len(numbers)}Q", *numbers)
    if told is not None:
        message += json.dumps(told).encode()
    with_it = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    end.sendmsg([message], with_it, socket.MSG_NOSIGNAL)


def receive(end: socket.socket) -> Message | None:
    """The next message, None at the end of the line. Raises OSError (BlockingIOError) and NotUnderstood."""
    message, beside, flags = receive_packet(end, _MOST_BYTES, _SPACE)
    descriptors = array.array("i")
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if not message:
        return None
    try:
        return _understood(message, list(descriptors), short=bool(flags & socket.MSG_CTRUNC))
    except (struct.error, ValueError) as error:
        raise NotUnderstood(list(descriptors)) from error


def _understood(message: bytes, descriptors: list[int], *, short: bool) -> Message:
    magic, version, verb, count = _HEADER.unpack_from(message)
    if (magic, version) != (_MAGIC, VERSION):
        raise ValueError(magic, version)
    numbers = struct.unpack_from(f"={count}Q", message, _HEADER.size)
    rest = message[_HEADER.size + 8 * count :]
    return Message(Verb(verb), numbers, descriptors, json.loads(rest) if rest else {}, short)
