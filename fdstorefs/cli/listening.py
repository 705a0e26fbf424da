"""Sockets made to be stashed: `tcp:HOST:PORT`, `udp:HOST:PORT`, `unix:PATH`."""

import os
import socket
from typing import NamedTuple

from fdstorefs.cli.failure import Failure, UsageError, describe

_BACKLOG = 4096
_FORMS = "write `tcp:HOST:PORT`, `udp:HOST:PORT` or `unix:PATH`; an IPv6 HOST stands in brackets"


class Address(NamedTuple):
    """Where to listen. For `unix` only `path` counts; an empty `host` means every address of the machine."""

    scheme: str
    host: str = ""
    port: str = ""
    path: str = ""


def parse(text: str) -> Address:
    """Read an address. Raises UsageError."""
    scheme, _, rest = text.partition(":")
    if scheme == "unix" and rest:
        return Address(scheme, path=rest)
    host, colon, port = rest.rpartition(":")
    if scheme not in ("tcp", "udp") or not colon or not port.isdecimal() or int(port) > 0xFFFF:
        raise UsageError(f"`{text}` is no address to listen at", hint=_FORMS)
    return Address(scheme, _without_brackets(text, host), port)


def _without_brackets(text: str, host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    if ":" in host:
        raise UsageError(f"`{text}` is no address to listen at: its HOST holds a colon", hint=_FORMS)
    return host


def listen(address: Address) -> socket.socket:
    """Make the socket: listening, or bound if its kind doesn't listen. Raises Failure."""
    try:
        return _listen_unix(address.path) if address.scheme == "unix" else _listen_inet(address)
    except OSError as error:
        where = address.path or f"{address.host or '*'}:{address.port}"
        raise Failure(
            f"cannot listen at `{where}`: {describe(error)}", hint=_advice(address, error)
        ) from error


def _listen_unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(path)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _listen_inet(address: Address) -> socket.socket:
    kind = socket.SOCK_STREAM if address.scheme == "tcp" else socket.SOCK_DGRAM
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host or None, address.port, type=kind, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _advice(address: Address, error: OSError) -> str | None:
    if isinstance(error, PermissionError) and address.port and int(address.port) < 1024:
        return "ports below 1024 take root, or CAP_NET_BIND_SERVICE"
    if address.path and os.path.exists(address.path):
        return "something listens there, or left its socket; remove that first"
    return None
