"""The FUSE wire format: requests are read, and answers edited, where linux/fuse.h has the fields."""

import struct

import pytest

from fdstorefs.server.fuse import protocol
from fdstorefs.server.fuse.protocol import Opcode

HEADER = struct.Struct("=IIQQIIIHH")
ATOMIC_O_TRUNC, WRITEBACK_CACHE, MAX_PAGES = 1 << 3, 1 << 16, 1 << 22


def request(opcode: int, body: bytes, unique: int = 7) -> memoryview:
    """A request of uid 1, gid 2, thread 3."""
    return memoryview(HEADER.pack(HEADER.size + len(body), opcode, unique, 1, 1, 2, 3, 0, 0) + body)


def init_reply(flags: int, error: int = 0) -> bytes:
    """What libfuse answers to INIT: large transfers and many features."""
    body = struct.pack("=IIIIHHIIHHI28x", 7, 38, 131072, flags, 12, 9, 1 << 20, 1, 256, 0, 0)
    return struct.pack("=IiQ", 16 + len(body), error, 7) + body


def test_a_header_says_who_asks() -> None:
    """Request number, node, file-system uid and gid, thread."""
    header = protocol.header(request(Opcode.READ, b""))

    assert (40, Opcode.READ, 7, 1, 1, 2, 3) == header[:7]


def test_a_write_is_split_into_its_fields_and_its_data() -> None:
    """Handle, offset, flags of the handle; the data is what follows."""
    asked = request(Opcode.WRITE, struct.pack("=QQIIQII", 11, 12, 5, 0, 0, 2048, 0) + b"12345")
    body = protocol.transfer(asked)

    assert (11, 12, 5, 2048, b"12345") == (
        body.fh,
        body.offset,
        body.size,
        body.flags,
        protocol.written(asked),
    )


def test_a_poll_names_its_waiters() -> None:
    """Handle, the kernel's name for the waiters, whether there are any, events."""
    assert (1, 2, 3, 4) == protocol.poll(request(Opcode.POLL, struct.pack("=QQII", 1, 2, 3, 4)))


def test_an_interrupt_names_the_request() -> None:
    """Its number, not its own."""
    assert 42 == protocol.interrupted(request(Opcode.INTERRUPT, struct.pack("=Q", 42)))


@pytest.mark.parametrize(("error", "size", "expected"), [(0, 5, (21, 0, 9)), (4, 0, (16, -4, 9))])
def test_an_answer_gives_its_whole_length_and_a_negative_errno(
    error: int, size: int, expected: tuple[int, ...]
) -> None:
    """As the kernel wants it."""
    assert expected == struct.unpack("=IiQ", protocol.answer(9, error, size))


def test_a_poll_notice_is_no_answer() -> None:
    """Code 1 in the place of the errno, request 0, then the waiters."""
    assert (24, 1, 0, 77) == struct.unpack("=IiQQ", protocol.poll_notice(77))


def test_negotiation_keeps_what_suits_and_limits_transfers() -> None:
    """Whatever libfuse turns on; all else of its answer stays."""
    edited = protocol.negotiate(init_reply(ATOMIC_O_TRUNC | WRITEBACK_CACHE | MAX_PAGES))
    fields = struct.unpack_from("=IIIIHHIIH", edited, 16)

    assert (7, 38, 131072, ATOMIC_O_TRUNC | MAX_PAGES, 12, 9, 131072, 1, 32) == fields
    assert len(edited) == len(init_reply(0))


def test_a_failed_negotiation_is_passed_on() -> None:
    """As it is."""
    reply = struct.pack("=IiQ", 16, -71, 7)

    assert reply == protocol.negotiate(reply)


@pytest.mark.parametrize(("opcode", "before"), [(Opcode.OPEN, 0), (Opcode.CREATE, 128)])
def test_the_flags_of_a_new_handle_are_set(opcode: Opcode, before: int) -> None:
    """In an answer to OPEN, and after the entry in one to CREATE."""
    reply = bytes(16 + before) + struct.pack("=QII", 5, 0, 0)
    edited = protocol.with_open_flags(opcode, reply, 0x31)

    assert 5 == protocol.opened(opcode, reply)
    assert bytes(16 + before) + struct.pack("=QII", 5, 0x31, 0) == edited
