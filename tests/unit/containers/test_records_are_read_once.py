"""What is on record of instances is read again only when it is another."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.containers import record as module
from fdstorefs.containers.record import Process, Record, Records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Three, each of an instance whose keeper we are."""
    made = Records(str(tmp_path))
    for number in range(3):
        made.write(one(number))
    return made


def one(number: int, **what: Any) -> Record:
    """A record."""
    us = Process.of(os.getpid())
    return replace(Record("/run/fdstore", 0, 1, number, us, {}, keeper=us), **what)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read, as the service reads it."""
    seen: list[str] = []

    class Json:
        dumps = staticmethod(json.dumps)

        @staticmethod
        def load(file: Any) -> Any:
            seen.append(os.path.basename(file.name))
            return json.load(file)

    monkeypatch.setattr(module, "json", Json)
    return seen


def test_who_lists_twice_reads_once(records: Records, reads: list[str]) -> None:
    """Anybody may list, and there may be thousands."""
    first = list(records)
    read = len(reads)

    assert (first, 3, 3) == (list(records), read, len(reads))


def test_what_was_written_anew_is_read_anew(records: Records, reads: list[str]) -> None:
    """A server that was started again is another."""
    former = list(records)
    records.write(one(1, uid=1000))

    assert [former[0], one(1, uid=1000), former[2]] == list(records)
    assert 4 == len(reads)


def test_what_was_removed_is_not_there(records: Records) -> None:
    """Though it was read."""
    former = list(records)
    records.remove(former[1].name)

    assert [former[0], former[2]] == list(records)


def test_what_has_ended_is_removed(records: Records) -> None:
    """Though it was read while it was there."""
    with subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE) as other:
        ended = one(1, keeper=Process.of(other.pid))
        records.write(ended)

        assert ended in list(records)
        other.kill()
    assert 2 == len(list(records))
    assert 2 == records.count()


def test_the_server_of_an_instance_is_known(records: Records) -> None:
    """By its number, for as long as it is the one that began then."""
    us = Process.of(os.getpid())

    assert not records.has_server(us.pid)
    records.write(one(1, server=replace(us, start=us.start + 1)))
    assert not records.has_server(us.pid)
    records.write(one(1, server=us))
    assert records.has_server(us.pid)
