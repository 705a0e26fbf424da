"""What actors try. A descriptor that they get is read, so that a test sees that it is the right one."""

import json
import os
import socket
from typing import Any

from fdstorefs import connect
from fdstorefs.client.address import open_socket

NO_FLAGS, PEEK = 0, int(socket.MSG_PEEK)
_ROOM = socket.CMSG_SPACE(4 * 8)
_LENGTH = 1 << 16

_held: dict[str, int] = {}
"""What an actor has kept, by a name of the test's choice."""


def stash(mount: str, name: str, text: str) -> None:
    """Open something, keep it and stash it."""
    fd = os.memfd_create(name)
    os.pwrite(fd, text.encode(), 0)
    _held[name] = fd
    with connect(mount) as store:
        store.stash(name, fd)


def retrieve(mount: str, name: str) -> str:
    """Retrieve something, keep it and read it."""
    with connect(mount) as store:
        _held[name] = store.retrieve(name).detach()
    return read(_held[name])


def ask(mount: str, name: str, flags: int) -> dict[str, Any]:
    """The server's answer to a retrieval, received by one call with these flags."""
    with open_socket(mount) as line:
        call = {"method": "io.fdstorefs.Store.Retrieve", "parameters": {"names": [name]}}
        line.send(json.dumps(call).encode() + b"\0")
        return _received(line, flags)


def open_entry(mount: str, name: str) -> str:
    """Open an entry in the mount, and read it from where the stored file stands."""
    with open(os.path.join(mount, name), "rb", buffering=0) as file:
        return (file.read(_LENGTH) or b"").decode()


def read(fd: int) -> str:
    """What a file has in it."""
    return os.pread(fd, _LENGTH, 0).decode()


def _received(line: socket.socket, flags: int) -> dict[str, Any]:
    data, files, found, _ = socket.recv_fds(line, _LENGTH, 8, flags)
    texts = [read(fd) for fd in files]
    for fd in files:
        os.close(fd)
    return {"texts": texts, "truncated": bool(found & socket.MSG_CTRUNC), "data": data.decode()}
