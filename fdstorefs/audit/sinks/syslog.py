"""Syslog, as syslog(3) speaks it to the daemon of this machine: the record is the message."""

import json
import os
import socket
import time
from typing import Any

from fdstorefs.audit.record import SHORTENED_TEXT
from fdstorefs.audit.sinks.datagrams import DatagramWriter
from fdstorefs.audit.summary import priority

ADDRESS = "/dev/log"
AUTHPRIV = 10
MOST = 8000
"""Bytes of a message: daemons cut what is longer (rsyslog at 8 KiB), and half a record is none."""
LONGEST_HEAD = 64

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SyslogSink(DatagramWriter):
    """Sends each record to the facility `authpriv`."""

    def __init__(self, address: str = ADDRESS) -> None:
        super().__init__(address, _send)


def message(line: bytes, moment: time.struct_time, pid: int) -> bytes:
    """The message of a record; `moment` is local time."""
    record: dict[str, Any] = json.loads(line)
    # Not strftime: the month is in English whatever the locale.
    date = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2d} {time.strftime('%H:%M:%S', moment)}"
    head = f"<{AUTHPRIV * 8 + priority(record)}>{date} fdstorefs[{pid}]: ".encode("ascii")
    body = line.rstrip(b"\n")
    return head + (body if len(head) + len(body) <= MOST else shorten(record))


def shorten(record: dict[str, Any]) -> bytes:
    """The record with its long strings and lists cut, so that it fits; it says so."""
    body = _cut(record, SHORTENED_TEXT, 8)
    return body if len(body) <= MOST - LONGEST_HEAD else _cut(record, 64, 4)


def _cut(record: dict[str, Any], most: int, items: int) -> bytes:
    cut = _shortened(record, most, items) | {"shortened": True}
    return json.dumps(cut, separators=(",", ":")).encode("ascii")


def _shortened(value: Any, most: int, items: int) -> Any:
    if isinstance(value, str):
        # A character that JSON escapes takes up to twelve bytes.
        return value[:most] if value.isascii() and value.isprintable() else value[: most // 12]
    if isinstance(value, list):
        return [_shortened(each, most, items) for each in value[:items]]
    if isinstance(value, dict):
        return {name: _shortened(each, most, items) for name, each in value.items()}
    return value


def _send(connected: socket.socket, line: bytes) -> None:
    connected.send(message(line, time.localtime(), os.getpid()))
