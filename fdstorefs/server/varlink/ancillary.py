"""What comes beside the bytes of a message: who sent them, and descriptors. Pure."""

import socket
from array import array
from struct import Struct

from fdstorefs.interface import MAX_DESCRIPTORS

SO_PEERPIDFD = 77
UCRED = Struct("=iII")
INT_BYTES = 4
SPACE = socket.CMSG_SPACE(UCRED.size) + socket.CMSG_SPACE(INT_BYTES * MAX_DESCRIPTORS)
"""Room for all that the kernel can put beside one message."""

Ancillary = list[tuple[int, int, bytes]]


def unpack(ancillary: Ancillary) -> tuple[bytes | None, list[int]]:
    """The sender's `struct ucred`, None if there is none, and the descriptors."""
    credentials: bytes | None = None
    descriptors = array("i")
    for level, kind, payload in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS:
            credentials = payload
        elif kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % INT_BYTES])
    return credentials, descriptors.tolist()


def pack(descriptors: list[int]) -> list[tuple[int, int, "array[int]"]]:
    """Descriptors as sendmsg wants them."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
