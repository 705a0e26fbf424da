"""The ring of records that the programs write and the enforcer reads.

A BPF_MAP_TYPE_RINGBUF: a page with the reader's position, a page with the writers' position, then the data, mapped
twice in a row so that a record which runs over the end can be read in one piece. Positions only grow; a record is a
header of 8 bytes (length, with a bit for `not finished` and one for `given up`) and its bytes, filled up to 8. That
a finished record's bytes are seen whole rests on loads being done in order, as x86 does them.
"""

import mmap
import struct
from typing import NamedTuple

from fdstorefs.bpf.abi import Event

BUSY = 1 << 31
DISCARDED = 1 << 30
_HEADER = struct.Struct("=II")
_POSITION = struct.Struct("=Q")
MOST_AT_ONCE = 1024


class Batch(NamedTuple):
    """Records read, and the position to go on at."""

    records: list[bytes]
    position: int


def read_records(
    data: bytes | bytearray | memoryview, size: int, position: int, end: int, most: int = MOST_AT_ONCE
) -> Batch:
    """The finished records from `position` up to `end`, at most so many.

    `data` has the ring's `size` bytes (a power of two) twice. Stops at a record that is not finished: those after it
    come once it is.
    """
    view = memoryview(data)
    records: list[bytes] = []
    while position < end and len(records) < most:
        at = position & (size - 1)
        length, _ = _HEADER.unpack_from(view, at)
        if length & BUSY:
            break
        bare = length & ~DISCARDED
        if not length & DISCARDED:
            records.append(bytes(view[at + _HEADER.size : at + _HEADER.size + bare]))
        position += _HEADER.size + (bare + 7 & ~7)
    return Batch(records, position)


class Ring:
    """The reader of a ring; there can be one only. `size`: the ring's max_entries; the descriptor stays ours."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        page = mmap.PAGESIZE
        self._reader = mmap.mmap(fd, page)
        self._writers = mmap.mmap(fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)

    def fileno(self) -> int:
        """To wait on: readable while there are records."""
        return self._fd

    def read(self, most: int = MOST_AT_ONCE) -> list[Event]:
        """The next records, at most so many; none if there are none. Doesn't wait."""
        (position,) = _POSITION.unpack_from(self._reader)
        (end,) = _POSITION.unpack_from(self._writers)
        with memoryview(self._writers) as view:
            batch = read_records(view[mmap.PAGESIZE :], self._size, position, end, most)
        _POSITION.pack_into(self._reader, 0, batch.position)
        return [Event.unpack(record) for record in batch.records]

    def close(self) -> None:
        """Unmap it. What is not read stays for the next reader."""
        self._reader.close()
        self._writers.close()
