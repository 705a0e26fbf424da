"""From the bytes of a file to its text: UTF-8, not too large, line ends of any system, nothing hidden."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.files import MAX_BYTES
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.policy.span import Source
from tests.unit.policy.fuzz_policy import is_inside
from tests.unit.policy.loading import NAMES, loaded


def test_lines() -> None:
    """A text is kept with its lines."""
    assert ("a: é", "b") == source_from_bytes("p", "a: é\nb".encode()).lines


def test_windows() -> None:
    """A byte order mark in front and carriage returns before line feeds are taken away."""
    assert "a\nb\n" == source_from_bytes("p", b"\xef\xbb\xbfa\r\nb\r\n").text


def test_too_large() -> None:
    """One byte more than the limit is refused, and not looked at."""
    assert MAX_BYTES == len(source_from_bytes("p", b"#" * MAX_BYTES).text)
    with pytest.raises(PolicyError) as raised:
        source_from_bytes("p", b"\xff" * (MAX_BYTES + 1))

    assert (
        "p:1:1: error: the policy has 1,048,577 bytes, more than 1,048,576\n\n    ^\n  hint: split it"
        == str(raised.value)
    )


def test_where_it_is_not_utf_8() -> None:
    """The message names the byte and its offset, and points at it."""
    with pytest.raises(PolicyError) as raised:
        source_from_bytes("p", "é\r\nü: ".encode() + b"\xff x")
    (found,) = raised.value.diagnostics

    assert "byte 0xff at offset 8 is not UTF-8" == found.message
    assert found.span is not None
    assert (1, 3) == (found.span.line, found.span.column)


def test_a_source_without_lines() -> None:
    """A source that somebody made of name and text only can be loaded too."""
    (found,) = load([Source("p.yaml", "version: 1\nrules: 3\n")], NAMES).diagnostics

    assert found.span is not None
    assert is_inside(found.span)


@pytest.mark.parametrize("text", ["a\r\nb: c", "\ud800: a", "\0", "\ufeffversion: 1\nrules: []"])
def test_a_source_that_no_file_makes(text: str) -> None:
    """What `source_from_bytes` would have refused or changed is an error, not a traceback."""
    assert not load([Source.of("p.yaml", text)], NAMES).ok


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())))
@example("version: 1\nrules: [\ud800]")
def test_any_text(text: str) -> None:
    """Any text is a policy or has an error within the text."""
    result = load([Source.of("p.yaml", text)], NAMES)

    assert [] == [each.code for each in result.diagnostics if each.span is None or not is_inside(each.span)]
    assert not result.ok


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Any bytes are refused in words, here or there."""
    try:
        assert not loaded(data).ok
    except PolicyError as error:
        assert error.diagnostics
