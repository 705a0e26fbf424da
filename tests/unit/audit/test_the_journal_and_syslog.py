"""What the daemons of the machine are sent, received on sockets of our own."""

import array
import fcntl
import json
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.decision import EntryMark
from fdstorefs.audit.format import Formatter
from fdstorefs.audit.record import Event
from fdstorefs.audit.sinks.journald import JournalSink, entry
from fdstorefs.audit.sinks.syslog import MOST, SyslogSink, message
from tests.unit.audit.decisions import DETAILS, INSTANCE, RUN, decision, denial
from tests.unit.audit.schema_check import faults

NAMES = 'one\ntwo"`\\\u202e\udcff='


def record(name: str = "listen/http", **changes: object) -> bytes:
    """The line of a denial."""
    return Formatter(INSTANCE, RUN).verdict(denial(entry=EntryMark(name), **changes), 0)


def journal_fields(payload: bytes) -> dict[str, bytes]:
    """An entry of the journal, read as systemd's JOURNAL_NATIVE_PROTOCOL says."""
    fields: dict[str, bytes] = {}
    while payload:
        head, _, rest = payload.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        assert name.decode() not in fields or name == b"FDSTOREFS_RULE"
        fields[name.decode()] = value
        payload = rest
    return fields


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Where a daemon listens, or will."""
    return str(tmp_path / "socket")


def listen(address: str) -> socket.socket:
    """A daemon's socket."""
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(address)
    daemon.settimeout(20)
    return daemon


@pytest.fixture
def daemon(address: str) -> Iterator[socket.socket]:
    """A daemon that listens."""
    with listen(address) as daemon:
        yield daemon


def test_a_journal_entry(daemon: socket.socket, address: str) -> None:
    """A sentence, a priority, the record itself, and fields to search by."""
    sink = JournalSink(address)
    line = record(NAMES, rules=("a", "b"))
    taken = sink.write([line])
    found = journal_fields(daemon.recv(100_000))
    sink.close()

    assert (1, None) == taken
    assert line.rstrip(b"\n") == found["FDSTOREFS_RECORD"]
    assert b"4" == found["PRIORITY"]
    assert b"fdstorefs" == found["SYSLOG_IDENTIFIER"]
    assert (b"deny", b"retrieve", b"b", b"4242", b"33") == tuple(
        found[f"FDSTOREFS_{name}"] for name in ("VERDICT", "ACTION", "RULE", "SUBJECT_PID", "SUBJECT_UID")
    )
    assert b'one\ntwo"`\\\\\xe2\x80\xae\\xff=' == found["FDSTOREFS_ENTRY"]
    assert found["MESSAGE"].isascii()
    assert b"deny retrieve" in found["MESSAGE"]


@given(name=st.text(), comm=st.text())
def test_no_name_forges_a_journal_field(name: str, comm: str) -> None:
    """The fields are the same whatever the name, and the sentence is one line."""
    found = journal_fields(entry(record(name, details=replace(DETAILS, comm=comm))))

    assert journal_fields(entry(record())).keys() == found.keys()
    assert found["MESSAGE"].decode("ascii").isprintable()


def test_an_event_in_the_journal(daemon: socket.socket, address: str) -> None:
    """Without the fields of a verdict."""
    sink = JournalSink(address)
    sink.write([Formatter(INSTANCE, RUN).event(Event.STOP, (1, 2), 3, 0, {"written": 1, "lost": 0})])
    found = journal_fields(daemon.recv(100_000))
    sink.close()

    assert b'stop at "/run/fdstore"' == found["MESSAGE"]
    assert b"stop" == found["FDSTOREFS_TYPE"]
    assert "FDSTOREFS_ENTRY" not in found


def test_what_is_too_long_for_a_datagram_goes_in_a_sealed_memfd(daemon: socket.socket, address: str) -> None:
    """As the journal wants it: nobody can change it any more."""
    sink = JournalSink(address)
    line = record("\n" * 200_000)
    taken = sink.write([line])
    payload, ancillary, _, _ = daemon.recvmsg(10, socket.CMSG_SPACE(4))
    sink.close()
    fd = array.array("i", ancillary[0][2])[0]
    with open(fd, "rb") as memory:
        found = journal_fields(os.pread(memory.fileno(), 10_000_000, 0))
        seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)

    assert (1, None) == taken
    assert b"" == payload
    assert line.rstrip(b"\n") == found["FDSTOREFS_RECORD"]
    assert fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW == seals & ~fcntl.F_SEAL_SEAL


def test_a_daemon_that_restarts_is_found_again(address: str) -> None:
    """While it is away that is an error; nothing that was not sent counts as sent."""
    sink = SyslogSink(address)
    line = record()
    with listen(address):
        first = sink.write([line])
    os.unlink(address)
    second = sink.write([line])
    with listen(address) as again:
        third = sink.write([line, line])
        os.unlink(address)
        received = [again.recv(10_000) for _ in range(2)]
    sink.close()

    assert [1, 0, 2] == [first.lines, second.lines, third.lines]
    assert isinstance(second.error, FileNotFoundError)
    assert third.error is None
    assert all(each.endswith(line.rstrip(b"\n")) for each in received)


def test_a_daemon_that_takes_nothing_is_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some patience, so that the thread is not stuck for ever."""
    monkeypatch.setattr("fdstorefs.audit.sinks.datagrams.PATIENCE", 0.05)
    with listen(address):
        sink = SyslogSink(address)
        taken = sink.write([record()] * 10_000)
        sink.close()

    assert 0 < taken.lines < 10_000
    assert isinstance(taken.error, TimeoutError)


def test_nobody_listens(address: str) -> None:
    """That shows when the log is opened."""
    for sink in (SyslogSink(address), JournalSink(address)):
        with pytest.raises(FileNotFoundError):
            sink.open()


def test_a_syslog_message() -> None:
    """Facility authpriv, a warning for a denial, the date in English, the record as it is."""
    line = record(NAMES)
    moment = time.struct_time((2026, 3, 7, 6, 5, 4, 5, 66, 0))

    assert b"<84>Mar  7 06:05:04 fdstorefs[17]: " + line.rstrip(b"\n") == message(line, moment, 17)


@pytest.mark.parametrize("changes", [{"verdict": True, "decided": True}, {"verdict": True, "decided": False}])
def test_what_is_allowed_is_information(changes: dict[str, bool]) -> None:
    """Unless it would be a denial, were the policy enforced."""
    line = record(**changes)
    priority = 84 if not changes["decided"] else 86

    assert message(line, time.gmtime(0), 1).startswith(f"<{priority}>".encode())


@given(
    name=st.text(st.characters(max_codepoint=0x2FFFF), min_size=2000, max_size=2100),
    failed=st.lists(st.text(min_size=200, max_size=300), max_size=8).map(tuple),
)
def test_a_syslog_message_is_never_too_long(name: str, failed: tuple[str, ...]) -> None:
    """A record that is, is shortened: half a record would be none."""
    line = record(name * 4, failed=failed, also=(EntryMark(name, label=name, filesystem=name),) * 20)
    found = message(line, time.gmtime(0), 4_194_304)
    body = json.loads(re.sub(rb"^.*?\]: ", b"", found))

    assert len(found) <= MOST
    assert body["shortened"] is True
    assert [] == faults(body)
    assert [decision().action, "deny", "no-rule"] == [body["action"], body["verdict"], body["reason"]]
