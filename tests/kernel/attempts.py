"""What actors try. A descriptor that they get is read, so that a test sees that it is the right one."""

import json
import os
import socket
from typing import Any

from fdstorefs import connect
from fdstorefs.client.address import open_socket
from tests.kernel.messages import receive_rights

NO_FLAGS, PEEK = 0, int(socket.MSG_PEEK)
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


def _text(fd: int) -> str:
    """The same of one that may be open without the right to read."""
    readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    try:
        return read(readable)
    finally:
        os.close(readable)


def hand(name: str, as_duplicate: bool, line: int) -> None:
    """Send what this process has of that name through a socket."""
    fd = _own(name)
    with socket.socket(fileno=line) as end:
        socket.send_fds(end, [b"x"], [os.dup(fd) if as_duplicate else fd])


def receive(flags: int, line: int) -> dict[str, Any]:
    """What arrives through a socket."""
    with socket.socket(fileno=line) as end:
        return _received(end, flags)


def stash_path(mount: str, name: str) -> None:
    """Open something without the right to read it (O_PATH), keep it and stash it."""
    fd = os.memfd_create(name)
    _held[name] = os.open(f"/proc/self/fd/{fd}", os.O_PATH)
    os.close(fd)
    with connect(mount) as store:
        store.stash(name, _held[name])


def stash_for_all(mount: str, name: str, path: str) -> None:
    """Open a file for writing and stash it, with a mode that keeps nobody from it."""
    fd = os.open(path, os.O_WRONLY)
    with connect(mount) as store:
        store.stash(name, fd, mode=0o666)
    os.close(fd)


def move_by(mount: str, name: str) -> None:
    """Move this process by a `cgroup.procs` that is stored."""
    with connect(mount) as store, store.retrieve(name) as procs:
        os.write(procs.fileno(), b"0")


def write_entry(mount: str, name: str) -> None:
    """The same by opening the entry."""
    fd = os.open(os.path.join(mount, name), os.O_WRONLY)
    try:
        os.write(fd, b"0")
    finally:
        os.close(fd)


def own_cgroup() -> str:
    """Where this process is."""
    with open("/proc/self/cgroup") as file:
        return file.read().splitlines()[-1].removeprefix("0::")


def own_number(name: str) -> int:
    """The number of the descriptor that this process has of what was made under that name."""
    return _own(name)


def _own(name: str) -> int:
    if name in _held:
        return _held[name]
    return next(fd for fd in _open_here() if f"/memfd:{name} " in _target(fd))


def _open_here() -> list[int]:
    return sorted(map(int, os.listdir("/proc/self/fd")))


def _target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def _received(line: socket.socket, flags: int) -> dict[str, Any]:
    data, files, found = receive_rights(line, _LENGTH, flags)
    texts = [_text(fd) for fd in files]
    for fd in files:
        os.close(fd)
    return {"texts": texts, "truncated": bool(found & socket.MSG_CTRUNC), "data": data.decode()}
