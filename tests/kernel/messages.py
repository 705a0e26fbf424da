"""Messages between a test, the fork server and the actors: JSON in packets of a Unix socket, descriptors beside it."""

import array
import json
import socket
from typing import Any

PACKET = 1 << 17
MOST_DESCRIPTORS = 64
_ROOM = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)

Message = dict[str, Any]


def send(line: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """One message, whole."""
    socket.send_fds(line, [json.dumps(message).encode()], descriptors)


def receive(line: socket.socket) -> tuple[Message, list[int]]:
    """The next message and its descriptors, close-on-exec; EOFError when the other side is gone."""
    data, descriptors, flags = receive_rights(line, PACKET)
    if not data:
        raise EOFError("the other side is gone")
    assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "a message was cut off"
    return json.loads(data), descriptors


def receive_rights(line: socket.socket, length: int, flags: int = 0) -> tuple[bytes, list[int], int]:
    """Data, descriptors, close-on-exec, and the flags that the kernel gives back.

    What `socket.recv_fds` does with its own flags is to ignore them.
    """
    data, ancillary, found, _ = line.recvmsg(length, _ROOM, flags | socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, rights in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(rights)
    return data, list(descriptors), found
