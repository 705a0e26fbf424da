"""Messages between a test, the fork server and the actors: JSON in packets of a Unix socket, descriptors beside it."""

import json
import socket
from typing import Any

PACKET = 1 << 17
MOST_DESCRIPTORS = 64

Message = dict[str, Any]


def send(line: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """One message, whole."""
    socket.send_fds(line, [json.dumps(message).encode()], descriptors)


def receive(line: socket.socket) -> tuple[Message, list[int]]:
    """The next message and its descriptors, close-on-exec; EOFError when the other side is gone."""
    data, descriptors, flags, _ = socket.recv_fds(line, PACKET, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError("the other side is gone")
    assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "a message was cut off"
    return json.loads(data), descriptors
