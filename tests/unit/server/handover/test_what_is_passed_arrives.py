"""Bytes and descriptors that are passed arrive as they were, each once; what was not passed is not understood."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.server.passed import NotUnderstood, Packing, Passed, Unpacking, understood
from tests.unit.server.handover.arriving import arrived


@given(st.lists(st.binary(max_size=300), max_size=9))
def test_bytes(pieces: list[bytes]) -> None:
    """Any number, of any length, and in any order."""
    packing = Packing()
    unpacking = arrived(packing, {"places": [packing.bytes(piece) for piece in pieces]})
    places = unpacking.told["places"]

    assert pieces[::-1] == [unpacking.bytes(place) for place in reversed(places)]
    assert [] == unpacking.left()


def test_descriptors() -> None:
    """Each is the same open file, and can be taken out once."""
    files = [os.memfd_create(name) for name in ("a", "b")]
    for number, file in enumerate(files):
        os.write(file, b"%d" % number)
    packing = Packing()
    unpacking = arrived(packing, {"numbers": [packing.descriptor(file) for file in files]})
    copies = [unpacking.descriptor(number) for number in unpacking.told["numbers"]]

    assert [b"0", b"1"] == [os.pread(copy, 9, 0) for copy in copies]
    with pytest.raises(NotUnderstood):
        unpacking.descriptor(0)
    for each in (*files, *copies):
        os.close(each)


def test_what_nobody_takes_out_is_left() -> None:
    """For whoever wants to close it."""
    unpacking = Unpacking(Passed({}, [70, 71, 72]))
    unpacking.descriptor(1)

    assert [70, 72] == unpacking.left()


@pytest.mark.parametrize("number", [-1, 3, 99])
def test_a_descriptor_that_was_not_passed(number: int) -> None:
    """Its number is none."""
    with pytest.raises(NotUnderstood):
        Unpacking(Passed({}, [70, 71, 72])).descriptor(number)


@pytest.mark.parametrize("place", [[0, 5], [3, 2], [-1, 1], [9, 1]])
def test_bytes_that_were_not_passed(place: list[int]) -> None:
    """There are four."""
    packing = Packing()
    packing.bytes(b"four")

    with pytest.raises(NotUnderstood):
        arrived(packing, {}).bytes(place)


@pytest.mark.parametrize("wrong", [KeyError("a"), TypeError("b"), ValueError("c"), IndexError("d")])
def test_whatever_is_wrong_is_not_understood(wrong: Exception) -> None:
    """And the reason is told."""

    def read() -> None:
        raise wrong

    with pytest.raises(NotUnderstood, match=r"something cannot be read: .*[abcd]"):
        understood("something", read)


def test_what_fails_for_another_reason_is_no_nonsense() -> None:
    """An OSError stays one."""

    def read() -> None:
        raise OSError(24, "too many open files")

    with pytest.raises(OSError, match="too many"):
        understood("something", read)
