"""Meeting another process at a Unix socket: connecting, listening for it, or by a descriptor; and seeing who it is."""

import contextlib
import os
import pwd
import socket
import struct
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from fdstorefs.cli.failure import DENIED, Failure, UsageError, describe, say
from fdstorefs.cli.owners import user

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

_UCRED = struct.Struct("=iII")
_MODE, _MODE_FOR_OTHERS = 0o600, 0o666


class Peer(NamedTuple):
    """Who made the other end, as the kernel has it."""

    pid: int
    uid: int
    gid: int

    @property
    def told(self) -> str:
        """In words."""
        return f"pid {self.pid} of user {user(self.uid)}"


def configure(parser: "Parser", direction: str) -> None:
    """Add the arguments; `direction` is `to` or `from`."""
    from fdstorefs.cli.parsing import descriptor_number

    places = parser.add_mutually_exclusive_group(required=True)
    places.add_argument(
        f"--{direction}", metavar="SOCKET", dest="socket", help="connect to who listens there"
    )
    places.add_argument(
        "--listen", metavar="SOCKET", help="make that socket, and wait there for one to connect"
    )
    places.add_argument(
        "--fd",
        metavar="N",
        type=descriptor_number,
        help="an inherited descriptor: a connected Unix stream socket",
    )
    parser.add_argument(
        "--peer",
        metavar="USER",
        help="deal with a process of that user, too, and not only with our own user's and root's",
    )


@contextlib.contextmanager
def meet(options: "argparse.Namespace") -> Iterator[tuple[socket.socket, Peer]]:
    """The connection to the other process, and who that is. Raises Failure."""
    allowed = _allowed(options.peer)
    with _connected(options, allowed) as connected:
        peer = peer_of(connected)
        if peer.uid not in allowed:
            raise Failure(
                f"the other side is {peer.told}, and neither ours nor root's",
                hint=_advice(peer),
                exit_code=DENIED,
            )
        yield connected, peer


def peer_of(connected: socket.socket) -> Peer:
    """Who connected, or who listened."""
    return Peer(*_UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def _allowed(peer: str | None) -> frozenset[int]:
    allowed = {os.geteuid(), 0}
    if peer is not None:
        allowed.add(_uid(peer))
    return frozenset(allowed)


def _uid(name: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise UsageError(f"there is no user `{name}`") from None


def _advice(peer: Peer) -> str:
    return f"with `--peer {user(peer.uid)}` that is fine"


def _connected(options: "argparse.Namespace", allowed: frozenset[int]) -> socket.socket:
    if options.fd is not None:
        return _inherited(options.fd)
    if options.listen is not None:
        return _wait_at(options.listen, allowed, for_others=options.peer is not None)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.connect(options.socket)
    except OSError as error:
        made.close()
        raise Failure(
            f"cannot connect to `{options.socket}`: {describe(error)}",
            hint="start the side that listens first",
        ) from None
    return made


def _inherited(number: int) -> socket.socket:
    try:
        made = socket.socket(fileno=os.dup(number))
    except OSError as error:
        raise Failure(f"`{number}` is no socket here: {describe(error)}") from None
    if (made.family, made.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        made.close()
        raise Failure(f"`{number}` is no Unix stream socket", hint="descriptors go over such a one only")
    made.setblocking(True)
    return made


def _wait_at(path: str, allowed: frozenset[int], *, for_others: bool) -> socket.socket:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        _bind(listening, path)
        try:
            if for_others:
                os.chmod(path, _MODE_FOR_OTHERS)
            listening.listen(1)
            if sys.stderr.isatty():
                print(f"waiting at {path}", file=sys.stderr)
            return _accept(listening, allowed)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _bind(listening: socket.socket, path: str) -> None:
    before = os.umask(0o777 & ~_MODE)
    try:
        listening.bind(path)
    except OSError as error:
        hint = (
            "something listens there, or left its socket; remove that first" if os.path.exists(path) else None
        )
        raise Failure(f"cannot listen at `{path}`: {describe(error)}", hint=hint) from None
    finally:
        os.umask(before)


def _accept(listening: socket.socket, allowed: frozenset[int]) -> socket.socket:
    """The first who may; whoever may not is turned away, and does not keep the right one from coming."""
    while True:
        connected, _ = listening.accept()
        peer = peer_of(connected)
        if peer.uid in allowed:
            return connected
        connected.close()
        say(f"turned away: {peer.told}", _advice(peer))
