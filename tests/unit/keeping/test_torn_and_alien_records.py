"""A journal is read up to the first record that isn't whole, and it is noticed if that was not the last."""

import os
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.frames import Record, frame, header, read_frames
from fdstorefs.server.keeping.memory import STEP, JournalMemory, read_memory

IDENTITY = b"sixteen bytes..."
WRITER = "1.2.3"
RECORDS = st.lists(
    st.builds(Record, st.integers(1, 255), st.binary(max_size=60).map(lambda payload: payload + b"}")),
    max_size=8,
)
ZEROS = st.integers(0, 100).map(bytes)


def journal(records: list[Record], zeros: bytes = b"") -> bytes:
    """A journal of these records."""
    framed = [frame(record.kind, number, record.payload) for number, record in enumerate(records, 1)]
    return header(IDENTITY, WRITER) + b"".join(framed) + zeros


def test_the_header_has_the_shape_that_is_documented() -> None:
    """Versions that are to come must recognise it."""
    start = b"fdstjrnl" + b"\x02\x00" + b"\x00\x00" + IDENTITY + b"1.2.3" + bytes(19)

    assert start == header(IDENTITY, WRITER)[:-4]
    assert 56 == len(header(IDENTITY, WRITER))


def test_a_record_has_the_shape_that_is_documented() -> None:
    """Length, checksum, kind, sequence, payload."""
    made = frame(7, 2, b"abc")

    assert b"\x03\0\0\0" == made[:4]
    assert b"\x07" + b"\x02\0\0\0\0\0\0\0" + b"abc" == made[8:]
    assert frames.OVERHEAD + 3 == len(made)


@given(RECORDS, ZEROS)
def test_what_was_written_is_read(records: list[Record], zeros: bytes) -> None:
    """Room that was reserved behind it is not part of it."""
    found = read_frames(journal(records, zeros))

    assert (IDENTITY, records, len(records)) == (found.identity, found.records, found.sequence)
    assert (len(journal(records)), False, None) == (found.end, found.torn, found.damage)


@given(RECORDS.filter(bool), st.integers(0, 1 << 16), ZEROS)
def test_a_torn_record_is_passed_over(records: list[Record], cut: int, zeros: bytes) -> None:
    """Its writer was killed, and nobody was told of it. There had been room for it."""
    whole = journal(records[:-1])
    last = journal(records)[len(whole) :]
    cut %= len(last)
    found = read_frames(whole + last[:cut] + bytes(len(last) - cut) + zeros)

    assert (records[:-1], len(whole), None) == (found.records, found.end, found.damage)


@given(
    RECORDS.filter(lambda records: len(records) > 1),
    st.integers(0, 1 << 16),
    st.integers(1, 255),
    ZEROS,
)
def test_a_record_that_was_changed_is_noticed(
    records: list[Record], place: int, change: int, zeros: bytes
) -> None:
    """One bit is enough; what comes before it counts, and what comes after it is not guessed at."""
    data = bytearray(journal(records, zeros))
    last = len(journal(records[:-1]))
    place = frames.HEADER_BYTES + place % (last - frames.HEADER_BYTES)
    data[place] ^= change
    found = read_frames(bytes(data))

    assert found.damage is not None
    assert found.records == records[: len(found.records)]
    assert len(found.records) < len(records)


@given(RECORDS.filter(bool), st.integers(0, 1 << 16), st.integers(1, 255), ZEROS)
def test_a_last_record_that_was_changed_is_noticed(
    records: list[Record], place: int, change: int, zeros: bytes
) -> None:
    """Its end is there, so it was written as a whole and somebody may have been told of it."""
    data = bytearray(journal(records, zeros))
    first = len(journal(records[:-1])) + 4
    data[first + place % (len(journal(records)) - first - 1)] ^= change
    found = read_frames(bytes(data))

    assert (records[:-1], True) == (found.records, found.damage is not None)


@given(RECORDS.filter(lambda records: len(records) > 2), st.integers(0, 6))
def test_a_record_that_is_missing_is_noticed(records: list[Record], missing: int) -> None:
    """Each has its number."""
    missing %= len(records) - 1
    framed = [frame(record.kind, number, record.payload) for number, record in enumerate(records, 1)]
    del framed[missing]
    found = read_frames(header(IDENTITY, WRITER) + b"".join(framed))

    assert records[:missing] == found.records
    assert f"what follows record {missing} is no record, and record {missing + 2} is there" == found.damage


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(4096),
        header(IDENTITY, WRITER)[:-1],
        b"X" + header(IDENTITY, WRITER)[1:],
        header(IDENTITY, WRITER)[:-1] + b"X",
    ],
    ids=["empty", "zeros", "short", "another file", "another checksum"],
)
def test_what_is_no_journal_is_damaged(data: bytes) -> None:
    """Nothing is taken from it."""
    found = read_frames(data)

    assert ([], "it does not begin as a journal does") == (found.records, found.damage)


def test_a_newer_format_is_refused() -> None:
    """Its records may mean something else; but who wrote it is where it always will be."""
    newer = frames._HEADER.pack(frames.MAGIC, frames.MAJOR + 1, 0, IDENTITY, b"9.1")

    with pytest.raises(
        frames.NewerFormat, match=r"format 3, and this version reads formats up to 2: version 9\.1"
    ):
        read_frames(newer + frames._CHECKSUM.pack(crc32(newer)) + b"whatever")


@given(RECORDS, st.integers(0, 8), ZEROS)
def test_a_journal_is_read_on_where_it_was_read_to(records: list[Record], cut: int, zeros: bytes) -> None:
    """Whoever has read it while it was written reads what has come since, and finds the same end."""
    before = read_frames(journal(records[:cut], zeros))
    after = frames.read_on(journal(records, zeros), before)
    whole = read_frames(journal(records, zeros))

    assert records == [*before.records, *after.records]
    assert whole._replace(records=[]) == after._replace(records=[])


@pytest.fixture
def memory() -> JournalMemory:
    """An empty journal."""
    return JournalMemory.create(IDENTITY)


@given(RECORDS)
def test_memory_has_what_was_appended(records: list[Record]) -> None:
    """Whoever has a descriptor can read it at any moment."""
    memory = JournalMemory.create(IDENTITY)
    for record in records:
        memory.append(record.kind, record.payload)
    found = read_frames(read_memory(memory.fd))
    memory.close()

    assert (records, memory.end) == (found.records, found.end)


def test_it_is_never_shorter_than_it_was(memory: JournalMemory) -> None:
    """Not even its owner could lose something by that."""
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 0)
    memory.close()


def test_it_goes_on_where_it_was_torn(memory: JournalMemory) -> None:
    """What was left of the torn record is not in the way of those to come."""
    memory.append(1, b"first")
    end = memory.end
    memory.append(1, b"x" * STEP)
    os.pwrite(memory.fd, b"\0", memory.end - 1)
    again = JournalMemory.resume(memory.fd, read_frames(read_memory(memory.fd)))
    assert end == again.end

    again.append(2, b"next")
    found = read_frames(read_memory(memory.fd))
    assert ([Record(1, b"first"), Record(2, b"next")], False) == (found.records, found.torn)
    memory.close()
