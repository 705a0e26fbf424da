"""The journal, by its native protocol (systemd's JOURNAL_NATIVE_PROTOCOL)."""

import errno
import fcntl
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from fdstorefs.audit.sinks.datagrams import DatagramWriter
from fdstorefs.audit.summary import priority, sentence

ADDRESS = "/run/systemd/journal/socket"
IDENTIFIER = "fdstorefs"

_TOO_LONG = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
_LENGTH = struct.Struct("<Q")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class JournalSink(DatagramWriter):
    """Sends each record as a journal entry: a sentence, the whole record, and the fields one asks for by name."""

    def __init__(self, address: str = ADDRESS) -> None:
        super().__init__(address, _send)


def entry(line: bytes) -> bytes:
    """The journal entry of a record."""
    return b"".join(_field(name, value.encode()) for name, value in _fields(line))


def _fields(line: bytes) -> Iterator[tuple[str, str]]:
    record: dict[str, Any] = json.loads(line)
    yield "MESSAGE", sentence(record)
    yield "PRIORITY", str(priority(record))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "FDSTOREFS_RECORD", line.decode("ascii").rstrip("\n")
    for name in ("type", "instance", "run", "seq", "action", "verdict", "reason"):
        if name in record:
            yield f"FDSTOREFS_{name.upper()}", str(record[name])
    for rule in record.get("rules", ()):
        yield "FDSTOREFS_RULE", rule
    if "entry" in record:
        yield "FDSTOREFS_ENTRY", record["entry"]["name"]
        yield "FDSTOREFS_SUBJECT_PID", str(record["subject"]["pid"])
        yield "FDSTOREFS_SUBJECT_UID", str(record["subject"]["uid"])


def _field(name: str, value: bytes) -> bytes:
    # A value with newlines must have its length before it; one without may.
    if b"\n" in value:
        return name.encode("ascii") + b"\n" + _LENGTH.pack(len(value)) + value + b"\n"
    return name.encode("ascii") + b"=" + value + b"\n"


def _send(connected: socket.socket, line: bytes) -> None:
    payload = entry(line)
    try:
        connected.send(payload)
    except OSError as error:
        if error.errno not in _TOO_LONG:
            raise
        _send_in_memory(connected, payload)


def _send_in_memory(connected: socket.socket, payload: bytes) -> None:
    """What is too long for a datagram goes in a sealed memfd."""
    fd = os.memfd_create("fdstorefs-audit", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as memory:
            memory.write(payload)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        socket.send_fds(connected, [b""], [fd])
    finally:
        os.close(fd)
