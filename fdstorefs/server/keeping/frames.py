"""Frames: how records lie in a journal, one after the other behind a header. Pure.

    header: magic, major and minor version of the format (u16 each), the identity of the instance (16 bytes), the
            version of the program that began it (24 bytes, the rest zeros), crc32 of all that
    record: length of the payload (u32), crc32 of the rest (u32), kind (u8), sequence (u64), payload

All numbers are little-endian. No payload ends with a zero, and what follows the last record is zeros. A record can be
torn only if its writer was killed in the middle of it: then it is the last one, its end was never written, and nobody
was told of it. Whatever else is no record was one, and has been changed.

Format 2 has the version of the program in its header, which format 1 has not, and so has every format to come: whoever
cannot read a journal can say which program can. Records are the same in both.
"""

from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"fdstjrnl"
MAJOR, MINOR = 2, 0
IDENTITY_BYTES, WRITER_BYTES = 16, 24

_FIRST_HEADER = Struct(f"<8sHH{IDENTITY_BYTES}s")
_HEADER = Struct(f"<8sHH{IDENTITY_BYTES}s{WRITER_BYTES}s")
_CHECKSUM = Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size

_LENGTHS = Struct("<II")
_NUMBERS = Struct("<BQ")
OVERHEAD = _LENGTHS.size + _NUMBERS.size
"""Bytes of a record beside its payload."""

_pack_lengths, _pack_numbers = _LENGTHS.pack, _NUMBERS.pack


class NewerFormat(Exception):
    """The journal was written by a version whose records mean something else."""


class Record(NamedTuple):
    """One record. `kind` tells what is in the payload."""

    kind: int
    payload: bytes


class Contents(NamedTuple):
    """What could be read. `end` is where the next record goes, and `sequence` the number of the last one.

    It has the format `major`; `writer` is the version of the program that began it, "" where that is not known.
    `torn`: there is the beginning of a record at the end, which is not one of these. `damage` says what else is not
    as it was written: then records are lost that somebody was told of.
    """

    identity: bytes
    records: list[Record]
    end: int
    sequence: int
    torn: bool
    damage: str | None
    major: int = MAJOR
    writer: str = ""


class Head(NamedTuple):
    """What a header says, and how long it is."""

    major: int
    identity: bytes
    writer: str
    size: int


def header(identity: bytes, writer: str) -> bytes:
    """The header of a journal that this version of the program begins."""
    head = _HEADER.pack(MAGIC, MAJOR, MINOR, identity, writer.encode()[:WRITER_BYTES])
    return head + _CHECKSUM.pack(crc32(head))


def frame(kind: int, sequence: int, payload: bytes) -> bytes:
    """A record as it lies in the journal."""
    body = _pack_numbers(kind, sequence) + payload
    return _pack_lengths(len(payload), crc32(body)) + body


def read_frames(data: bytes) -> Contents:
    """All records up to the first that isn't one. Raises NewerFormat."""
    head = _head(data)
    if head is None:
        return Contents(bytes(IDENTITY_BYTES), [], 0, 0, False, "it does not begin as a journal does")
    return _read(data, Contents(head.identity, [], head.size, 0, False, None, head.major, head.writer))


def read_on(data: bytes, before: Contents) -> Contents:
    """All records of a journal that was read `before`, after those that were there: nothing of it has changed."""
    return _read(data, before._replace(records=[]))


def _read(data: bytes, before: Contents) -> Contents:
    records: list[Record] = []
    at, sequence = before.end, before.sequence
    while (record := _record_at(data, at, sequence + 1)) is not None:
        records.append(record)
        at += OVERHEAD + len(record.payload)
        sequence += 1
    written = len(data.rstrip(b"\0"))
    torn = written > at
    damage = _damage(data, at, written, sequence) if torn else None
    return before._replace(records=records, end=at, sequence=sequence, torn=torn, damage=damage)


def _damage(data: bytes, at: int, written: int, sequence: int) -> str | None:
    """Why what is here was a record once, and not only the beginning of one."""
    later = _later(data[:written], at, sequence + 1)
    if later is not None:
        return f"what follows record {sequence} is no record, and record {later} is there"
    length = int.from_bytes(data[at : at + _CHECKSUM.size], "little")
    if written < at + OVERHEAD + length <= len(data):
        return None
    return f"what follows record {sequence} is no record, and not the beginning of one"


def _head(data: bytes) -> Head | None:
    """None if that is no header. Raises NewerFormat."""
    if len(data) < _FIRST_HEADER.size:
        return None
    magic, major, _, identity = _FIRST_HEADER.unpack_from(data)
    layout = _FIRST_HEADER if major == 1 else _HEADER
    if magic != MAGIC or len(data) < layout.size + _CHECKSUM.size:
        return None
    if _CHECKSUM.unpack_from(data, layout.size)[0] != crc32(data[: layout.size]):
        return None
    writer = "" if major == 1 else _HEADER.unpack_from(data)[4].rstrip(b"\0").decode(errors="replace")
    if major > MAJOR:
        raise NewerFormat(
            f"the journal has format {major}, and this version reads formats up to {MAJOR}: "
            f"version {writer or 'unknown'} wrote it"
        )
    return Head(major, identity, writer, layout.size + _CHECKSUM.size)


def _record_at(data: bytes, at: int, sequence: int) -> Record | None:
    """The record with this number at this place, if it is there and whole."""
    start = at + OVERHEAD
    if start > len(data):
        return None
    length, checksum = _LENGTHS.unpack_from(data, at)
    kind, number = _NUMBERS.unpack_from(data, at + _LENGTHS.size)
    if number != sequence or length > len(data) - start:
        return None
    if crc32(data[at + _LENGTHS.size : start + length]) != checksum:
        return None
    return Record(kind, data[start : start + length])


def _later(data: bytes, at: int, sequence: int) -> int | None:
    """The number of a whole record from `at` on that comes after this one."""
    most = sequence + len(data) // OVERHEAD
    for place in range(at, len(data) - OVERHEAD + 1):
        number: int = _NUMBERS.unpack_from(data, place + _LENGTHS.size)[1]
        if sequence < number <= most and _record_at(data, place, number) is not None:
            return number
    return None
