"""What counts as the number of a descriptor."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.errors import BadDescriptor, InvalidArgument, StoreError
from fdstorefs.server.fuse.taking import parse_number


@given(st.integers(0, 2**31 - 1), st.sampled_from(["", "\n"]), st.integers(0, 5))
def test_decimal_digits_with_or_without_a_newline(number: int, end: str, zeros: int) -> None:
    """Leading zeros don't matter."""
    assert number == parse_number(("0" * zeros + str(number) + end).encode())


@given(st.binary(max_size=40))
def test_nothing_else_is_a_number(text: bytes) -> None:
    """Whatever bytes come: a number, or an error of the store."""
    if re.fullmatch(rb"[0-9]+\n?", text) and len(text) < 32:
        return
    with pytest.raises(InvalidArgument):
        parse_number(text)


@pytest.mark.parametrize("number", [2**31, 2**32, 10**20])
def test_a_number_that_no_descriptor_has(number: int) -> None:
    """It is a number, so EBADF, not EINVAL."""
    with pytest.raises(BadDescriptor) as caught:
        parse_number(str(number).encode())

    assert isinstance(caught.value, StoreError)
