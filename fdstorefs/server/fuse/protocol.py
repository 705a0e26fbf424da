"""The FUSE wire format, as far as requests are answered here: what linux/fuse.h says, nothing about a store.

Every message starts with a header that gives its whole length. Requests carry the caller's thread id and its
file-system uid and gid; answers carry an errno, negated, or a payload.
"""

import errno
from enum import IntEnum
from struct import Struct
from typing import NamedTuple


class Opcode(IntEnum):
    """The requests that somebody here has to know apart; all others are name operations."""

    FORGET = 2
    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    INIT = 26
    RELEASEDIR = 29
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    IOCTL = 39
    POLL = 40
    BATCH_FORGET = 42
    FALLOCATE = 43
    LSEEK = 46
    COPY_FILE_RANGE = 47


UNANSWERED = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT})
"""Requests for which the kernel wants no answer."""

REFUSED = {
    Opcode.IOCTL: errno.ENOTTY,
    Opcode.FALLOCATE: errno.EOPNOTSUPP,
    Opcode.LSEEK: errno.ESPIPE,
    Opcode.COPY_FILE_RANGE: errno.EOPNOTSUPP,
}
"""What no handle can do, and how to say so. Not ENOSYS: the kernel would keep that for the whole mount."""

NOTIFY_POLL = 1
NOTIFY_INVAL_ENTRY = 3
POLL_SCHEDULE_NOTIFY = 1

FOPEN_DIRECT_IO = 1 << 0
FOPEN_NONSEEKABLE = 1 << 2
FOPEN_STREAM = 1 << 4
FOPEN_NOFLUSH = 1 << 5

_INIT_KEPT = sum(
    1 << bit
    for bit in (
        3,  # ATOMIC_O_TRUNC: open is told of O_TRUNC, no truncation is sent on its own
        5,  # BIG_WRITES
        13,  # DO_READDIRPLUS
        18,  # PARALLEL_DIROPS
        22,  # MAX_PAGES
    )
)

PAGE = 4096
MAX_PAGES = 32
MAX_TRANSFER = MAX_PAGES * PAGE
"""Bytes in one READ or WRITE request at most; the kernel splits what is larger."""

SPLIT_FROM = (MAX_PAGES - 1) * PAGE + 1
"""A READ of so many bytes may be one piece of a larger read(2): a buffer need not start at a page."""

IN_HEADER = Struct("=IIQQIIIHH")
OUT_HEADER = Struct("=IiQ")
_INIT_OUT = Struct("=IIIIHHIIH")
_TRANSFER_IN = Struct("=QQIIQII")
_POLL_IN = Struct("=QQII")
_INTERRUPT_IN = Struct("=Q")
_OPEN_OUT = Struct("=QI")
_RESULT_OUT = Struct("=II")
_POLL_HANDLE = Struct("=Q")
_LEFT_NAME = Struct("=QII")
_ENTRY_OUT_SIZE = 128

TRANSFER_SIZE = IN_HEADER.size + _TRANSFER_IN.size
"""A whole READ, or a WRITE without its data."""

BUFFER = TRANSFER_SIZE + MAX_TRANSFER
"""No request is longer: WRITE is the longest, an extended attribute's value has 64 KiB at most."""


class Header(NamedTuple):
    """What every request starts with. `tid` is 0 where the caller is in a pid namespace we don't see."""

    length: int
    opcode: int
    unique: int
    node: int
    uid: int
    gid: int
    tid: int
    extension: int
    padding: int


class Transfer(NamedTuple):
    """The body of a READ or WRITE; the data of a WRITE follows. `flags` are the handle's, as by F_GETFL."""

    fh: int
    offset: int
    size: int
    io_flags: int
    lock_owner: int
    flags: int
    padding: int


class Poll(NamedTuple):
    """The body of a POLL. `kh` names the kernel's waiters in a later notice."""

    fh: int
    kh: int
    flags: int
    events: int


def header(request: memoryview) -> Header:
    """The header of a request."""
    return Header._make(IN_HEADER.unpack_from(request))


def transfer(request: memoryview) -> Transfer:
    """The body of a READ or WRITE."""
    return Transfer._make(_TRANSFER_IN.unpack_from(request, IN_HEADER.size))


def written(request: memoryview) -> memoryview:
    """The data of a WRITE."""
    return request[TRANSFER_SIZE:]


def poll(request: memoryview) -> Poll:
    """The body of a POLL."""
    return Poll._make(_POLL_IN.unpack_from(request, IN_HEADER.size))


def interrupted(request: memoryview) -> int:
    """Which request an INTERRUPT is about."""
    unique: int = _INTERRUPT_IN.unpack_from(request, IN_HEADER.size)[0]
    return unique


def answer(unique: int, error: int, size: int = 0) -> bytes:
    """The header of an answer; `error` is an errno or 0, `size` the length of the payload that follows."""
    return OUT_HEADER.pack(OUT_HEADER.size + size, -error, unique)


def poll_notice(kh: int) -> bytes:
    """The message that wakes whoever polls the handle that the kernel calls `kh`."""
    return OUT_HEADER.pack(OUT_HEADER.size + _POLL_HANDLE.size, NOTIFY_POLL, 0) + _POLL_HANDLE.pack(kh)


def left_name_notice(parent: int, name: bytes) -> bytes:
    """The message that says that a name in a directory stands for nothing any more, or for something else."""
    body = _LEFT_NAME.pack(parent, len(name), 0) + name + b"\0"
    return OUT_HEADER.pack(OUT_HEADER.size + len(body), NOTIFY_INVAL_ENTRY, 0) + body


def write_result(count: int) -> bytes:
    """The payload of an answer to WRITE."""
    return _RESULT_OUT.pack(count, 0)


def poll_result(revents: int) -> bytes:
    """The payload of an answer to POLL."""
    return _RESULT_OUT.pack(revents, 0)


def is_success(reply: bytes | bytearray) -> bool:
    """True unless the answer carries an errno."""
    return bool(OUT_HEADER.unpack_from(reply)[1] == 0)


def payload(reply: bytes) -> bytes:
    """An answer without its header."""
    return reply[OUT_HEADER.size :]


def negotiate(reply: bytes) -> bytes:
    """The answer to INIT with what suits handles that are served beside libfuse.

    Small transfers; no write-back cache; no other feature that libfuse turns on by default.
    """
    if not is_success(reply):
        return reply
    edited = bytearray(reply)
    major, minor, readahead, flags, background, congestion, _, grain, _ = _INIT_OUT.unpack_from(
        edited, OUT_HEADER.size
    )
    fields = (
        major,
        minor,
        readahead,
        flags & _INIT_KEPT,
        background,
        congestion,
        MAX_TRANSFER,
        grain,
        MAX_PAGES,
    )
    _INIT_OUT.pack_into(edited, OUT_HEADER.size, *fields)
    return bytes(edited)


def _open_out_at(opcode: int) -> int:
    return OUT_HEADER.size + (_ENTRY_OUT_SIZE if opcode == Opcode.CREATE else 0)


def opened(opcode: int, reply: bytes) -> int:
    """The handle in a successful answer to OPEN or CREATE."""
    fh: int = _OPEN_OUT.unpack_from(reply, _open_out_at(opcode))[0]
    return fh


def with_open_flags(opcode: int, reply: bytes, flags: int) -> bytes:
    """A successful answer to OPEN or CREATE with these FOPEN_ flags, some of which libfuse doesn't know."""
    edited = bytearray(reply)
    _OPEN_OUT.pack_into(edited, _open_out_at(opcode), opened(opcode, reply), flags)
    return bytes(edited)
