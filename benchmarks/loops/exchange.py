"""What every echo server does for a request: two bytes come, two bytes and a descriptor go."""

import array
import os
import socket
import sys

REQUEST = 2
SIZE = socket.CMSG_SPACE(4)
HELD = os.memfd_create("echo")
RIGHTS = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [HELD]))]


def listen(path: str) -> socket.socket:
    """The socket to accept on, not blocking; tells standard output that it is there."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    listening.bind(path)
    listening.listen()
    sys.stdout.write("\n")
    sys.stdout.flush()
    return listening
