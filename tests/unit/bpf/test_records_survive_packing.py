"""What is packed for the kernel comes back the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.bpf import abi

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 64) - 1)
PEOPLE = st.builds(abi.Person, U32, U32, U64, U32, U32)
CHAINS = st.lists(U32, max_size=abi.DEPTH).map(lambda numbers: abi.Chain(tuple(numbers)))
RANGES = st.lists(st.builds(abi.Range, U32, st.integers(1, abi.ALL_FROM)), max_size=abi.RANGES).map(tuple)
SLOTS = st.builds(abi.Slot, st.integers(1, 9), U64)


def of(numbers: st.SearchStrategy[int], most: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Up to so many numbers."""
    return st.lists(numbers, max_size=most).map(tuple)


@st.composite
def with_owners(draw: st.DrawFn, record: type[abi.Record], **parts: st.SearchStrategy[Any]) -> abi.Record:
    """A record with a chain, and an owner for each of it."""
    chain = draw(CHAINS)
    owners = tuple(draw(U32) for _ in chain.numbers)
    return record(chain=chain, owners=owners, **{name: draw(part) for name, part in parts.items()})


ORDERS = with_owners(
    abi.Order,
    **dict.fromkeys(("instance", "authority", "mode", "owner_userns"), U32),
    **dict.fromkeys(("classes", "device", "inode", "magic"), U64),
    opener=PEOPLE,
)
INSTANCES = with_owners(
    abi.InstanceRecord,
    **dict.fromkeys(("userns", "uid", "flags", "pid"), U32),
    **dict.fromkeys(("start", "device", "lineage"), U64),
    **dict.fromkeys(("uids", "gids"), RANGES),
)
RECORDS = st.one_of(
    st.builds(abi.Key, U32, U32, U64),
    PEOPLE,
    CHAINS,
    st.builds(abi.ClassRecord, U32, PEOPLE, PEOPLE, CHAINS, CHAINS),
    st.builds(abi.ClassSet, U32, of(U32, abi.MOST_CLASSES)),
    st.lists(SLOTS, max_size=abi.SLOTS).map(lambda slots: abi.Tag(tuple(slots))),
    INSTANCES,
    st.builds(abi.EntryKey, U64, U64),
    st.builds(abi.Role, U32, U32),
    ORDERS,
)


@given(RECORDS)
def test_what_is_packed(record: abi.Record) -> None:
    """It has the size of its layout and is unpacked to an equal record."""
    packed = record.pack()

    assert (record.LAYOUT.size, record) == (len(packed), type(record).unpack(packed))


@given(st.integers(1, 16), st.data())
def test_rows(words: int, data: st.DataObject) -> None:
    """A row of any width too."""
    bits = st.integers(0, (1 << 64 * words) - 1)
    row = data.draw(st.tuples(bits, bits))

    assert row == abi.unpack_row(abi.pack_row(row, words))


def test_a_term_beyond_the_width() -> None:
    """A row that does not fit is refused, not cut."""
    with pytest.raises(OverflowError):
        abi.pack_row((1 << 64, 0), 1)


@pytest.mark.parametrize(
    "record",
    [abi.ClassSet(1, (1,) * (abi.MOST_CLASSES + 1)), abi.Tag((abi.Slot(1, 1),) * (abi.SLOTS + 1))],
    ids=["classes", "slots"],
)
def test_too_many(record: abi.Record) -> None:
    """More elements than there is room for are refused, not cut."""
    with pytest.raises(ValueError, match=r"elements where \d+ fit"):
        record.pack()


def test_an_event() -> None:
    """A record of the ring is read by its layout; its name ends at the first NUL."""
    places = abi.Event.LAYOUT.places()
    raw = bytearray(abi.Event.LAYOUT.size)
    for name, value in (("class", 7), ("allowed", 1), ("mode", 0o140777)):
        at, size = places[name]
        raw[at : at + size] = value.to_bytes(size, "little")
    raw[places["comm"][0] : places["comm"][0] + 6] = b"cat\0xx"
    raw[places["terms"][0] + 8] = 1

    event = abi.Event.unpack(bytes(raw))

    assert (7, True, False, 0o140777, b"cat", 1 << 64) == (
        event.class_,
        event.allowed,
        event.decided,
        event.mode,
        event.comm,
        event.terms,
    )
