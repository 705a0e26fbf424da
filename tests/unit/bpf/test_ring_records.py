"""Records are read from a ring as the kernel writes them: in order, over the end, without those given up."""

import struct
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.bpf.ring import BUSY, DISCARDED, read_records

SIZE = 256


class Written(NamedTuple):
    """A record as a writer leaves it."""

    data: bytes
    state: int


class Memory:
    """A ring's memory, which a writer fills as the kernel does."""

    def __init__(self, start: int) -> None:
        self.ring = bytearray(SIZE)
        self.start = self.end = start

    def write(self, record: Written) -> bool:
        """Put a record in, if there is room."""
        length = 8 + (len(record.data) + 7 & ~7)
        if self.end + length - self.start > SIZE:
            return False
        head = struct.pack("=II", len(record.data) | record.state, 0)
        for number, byte in enumerate((head + record.data).ljust(length, b"\xee")):
            self.ring[(self.end + number) % SIZE] = byte
        self.end += length
        return True

    def doubled(self) -> bytes:
        """As it is mapped."""
        return bytes(self.ring * 2)


RECORDS = st.lists(
    st.builds(Written, st.binary(max_size=70), st.sampled_from([0, 0, 0, DISCARDED, BUSY, BUSY | DISCARDED]))
)
STARTS = st.integers(0, 1 << 40).map(lambda number: number * 8)


def expected(written: list[Written]) -> list[bytes]:
    """What is finished before the first that isn't, without what was given up."""
    out = []
    for record in written:
        if record.state & BUSY:
            break
        if not record.state:
            out.append(record.data)
    return out


@given(STARTS, RECORDS)
def test_what_is_written_is_read(start: int, records: list[Written]) -> None:
    """Wherever in the ring it begins."""
    memory = Memory(start)
    written = [record for record in records if memory.write(record)]

    assert expected(written) == read_records(memory.doubled(), SIZE, memory.start, memory.end).records


@given(STARTS, RECORDS, st.integers(1, 3))
def test_reading_in_parts(start: int, records: list[Written], most: int) -> None:
    """A few at a time are the same as all at once, and the reader ends where it would have."""
    memory = Memory(start)
    for record in records:
        memory.write(record)
    whole = read_records(memory.doubled(), SIZE, memory.start, memory.end)

    parts: list[bytes] = []
    position = memory.start
    while True:
        batch = read_records(memory.doubled(), SIZE, position, memory.end, most)
        if batch.position == position:
            break
        parts += batch.records
        position = batch.position

    assert whole == (parts, position)


def test_an_unfinished_record_is_waited_for() -> None:
    """It and those after it come when it is finished."""
    memory = Memory(0)
    memory.write(Written(b"first", BUSY))
    memory.write(Written(b"second", 0))
    before = read_records(memory.doubled(), SIZE, 0, memory.end)
    memory.ring[3] &= 0x7F
    after = read_records(memory.doubled(), SIZE, before.position, memory.end)

    assert ([], [b"first", b"second"]) == (before.records, after.records)
