"""A line that is no record never ends the reading, and never goes unnoticed."""

import gzip
import io
import json

import pytest

from fdstorefs.audit.log_files import lines_of
from fdstorefs.audit.reader import LONGEST_LINE, Damage, NoRecord, Record, parse, read
from tests.unit.audit_reading.records import event, line, start, verdict


def without(record: Record, field: str) -> bytes:
    """The line of a record that lacks a field."""
    return json.dumps({name: value for name, value in record.items() if name != field}).encode() + b"\n"


def changed(record: Record, **changes: object) -> bytes:
    """The line of a record with other fields."""
    return json.dumps({**record, **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\n", "an empty line"),
        (b"hello\n", "not JSON: hello"),
        (b"\x1b[2J\xff\n", "not JSON: \x1b[2J\\xff"),
        (b'{"v": 1, "ty', "the line breaks off"),
        (b"[1]\n", "not a JSON object"),
        (b"{}\n", "`v` is missing"),
        (b'{"v": 1, "v": 1}\n', 'not JSON: {"v": 1, "v": 1}'),
        (b"[" * 100_000 + b"\n", f"not JSON: {'[' * 40}"),
        (b"\0" * LONGEST_LINE, "no end of the line"),
        (without(start(), "run"), "`run` is missing"),
        (changed(start(), seq="1"), "`seq` is no integer"),
        (changed(start(), seq=True), "`seq` is no integer"),
        (changed(start(), ts="yesterday"), "`ts` has another form"),
        (changed(verdict(1), rules="web"), "`rules` is no list"),
        (changed(verdict(1), rules=[1]), "`rules` is no string"),
        (changed(verdict(1), entry={}), "`name` is missing in `entry`"),
        (
            changed(verdict(1, subject={"capabilities": "all"})),
            "`capabilities` has another form in `subject`",
        ),
    ],
)
def test_why_a_line_is_no_record(text: bytes, why: str) -> None:
    """In words."""
    with pytest.raises(NoRecord) as raised:
        parse(text)

    assert why == str(raised.value)


def test_what_a_later_version_adds_is_no_damage() -> None:
    """Neither a field, nor a type, nor a word."""
    later = [start(colour="blue"), event(2, "moved-house", to="/mnt"), verdict(3, reason="whim")]

    assert later == [parse(line(record)) for record in later]


def test_reading_goes_on() -> None:
    """Each bad line is noticed with its place; the others are records."""
    noticed: list[Damage] = []
    lines = [line(start()), b"hello\n", line(verdict(2)), b'{"v"']

    assert [start(), verdict(2)] == list(read(lines, "a.jsonl", noticed.append))
    assert ["a.jsonl:2: not JSON: hello", "a.jsonl:4: the line breaks off"] == list(map(str, noticed))


@pytest.mark.parametrize("kept", [0.6, 0.9])
def test_a_compressed_file_that_breaks_off(kept: float) -> None:
    """What can be unpacked is read, the rest is noticed."""
    noticed: list[Damage] = []
    whole = gzip.compress(b"".join(line(verdict(seq)) for seq in range(1, 2000)))
    file = gzip.GzipFile(fileobj=io.BytesIO(whole[: int(len(whole) * kept)]))
    records = list(read(lines_of(file), "a.gz", noticed.append))  # type: ignore[arg-type]

    assert 0 < len(records) < 1999
    assert "cannot be unpacked" in noticed[-1].why


def test_what_is_not_compressed() -> None:
    """A name that ends in .gz proves nothing."""
    noticed: list[Damage] = []
    file = gzip.GzipFile(fileobj=io.BytesIO(b"hello\n"))

    assert [] == list(read(lines_of(file), "a.gz", noticed.append))  # type: ignore[arg-type]
    assert ["a.gz:1: cannot be unpacked: Not a gzipped file (b'he')"] == list(map(str, noticed))


def test_a_line_without_end_comes_in_pieces() -> None:
    """A file with a hole as large as the disk does not have to fit in memory."""
    pieces = list(lines_of(io.BytesIO(b"\0" * (3 * LONGEST_LINE) + b"\n")))

    assert [LONGEST_LINE, LONGEST_LINE, LONGEST_LINE, 1] == list(map(len, pieces))
