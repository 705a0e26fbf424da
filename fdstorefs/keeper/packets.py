"""Receiving from a SOCK_SEQPACKET pair, to the last packet that the other end has sent."""

import socket

Packet = tuple[bytes, list[tuple[int, int, bytes]], int]
"""What it says, what came beside it, and recvmsg(2)'s flags."""


def receive_packet(end: socket.socket, most_bytes: int, space: int) -> Packet:
    """The next packet, b"" at the end. Raises OSError (BlockingIOError).

    Who closes its end and leaves something unread there resets the connection. The kernel says so once, and before it
    gives what that one has sent (net/unix/af_unix.c, net/core/datagram.c); the end comes after that, as ever.
    """
    try:
        message, beside, flags, _ = end.recvmsg(most_bytes, space, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        message, beside, flags, _ = end.recvmsg(most_bytes, space, socket.MSG_CMSG_CLOEXEC)
    return message, beside, flags
