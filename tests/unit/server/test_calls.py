"""Calls: from bytes to a checked call, and the shortcut that must not understand anything differently."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fdstorefs.core.subject import Subject
from fdstorefs.interface import NAME, description
from fdstorefs.server.varlink import call as calls
from fdstorefs.server.varlink.call import RETRIEVE, Call, Malformed, parse, plain_retrieve
from fdstorefs.server.varlink.service import VERBS
from fdstorefs.server.varlink.standard import DESCRIPTION, STANDARD, StandardError

NOBODY = Subject(1, 1)


def parsed(data: bytes) -> Call:
    """The call in these bytes."""
    return parse(data, NOBODY, [])


def by_the_parser(data: bytes) -> Any:
    """What the JSON parser makes of it, None if it is no Retrieve of strings alone."""
    try:
        message = calls._load(data)
    except Malformed:
        return None
    shape = message.keys() == {"method", "parameters"} and message["method"] == RETRIEVE
    return message["parameters"]["names"] if shape else None


@given(st.lists(st.text(), min_size=1), st.booleans())
@example(["a", "b"], False)
@example(['a","b'], False)
@example(["a\\"], False)
@example(["\x7f"], False)
@example(["é", "\x00", "\n"], False)
def test_the_shortcut_reads_what_the_parser_reads(names: list[str], ascii_only: bool) -> None:
    """For every Retrieve as a client may write it, the shortcut agrees with the parser or says nothing."""
    call = {"method": RETRIEVE, "parameters": {"names": names}}
    text = json.dumps(call, separators=(",", ":"), ensure_ascii=ascii_only)
    data = text.encode("utf-8", "surrogatepass")
    found = plain_retrieve(data)

    assert found is None or found == names
    assert parsed(data).parameters["names"] == names if found else True


@given(st.text(alphabet='ab",\\[]{}:\n\x1f é'))
@example('a"],"names":["b')
@example('a","b')
@example('a"')
@example('",')
@example("")
def test_the_shortcut_never_reads_what_the_parser_refuses(inside: str) -> None:
    """Whatever stands between the brackets: where the shortcut answers, the parser answers the same."""
    data = calls.RETRIEVE_START + inside.encode() + calls.RETRIEVE_END
    found = plain_retrieve(data)

    assert found is None or found == by_the_parser(data)


def test_names_as_clients_usually_write_them_take_the_shortcut() -> None:
    """It would be of no use otherwise."""
    data = b'{"method":"io.fdstorefs.Store.Retrieve","parameters":{"names":["a/b","c d"]}}'

    assert plain_retrieve(data) == ["a/b", "c d"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"x", "not JSON"),
        (b"\xff", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "without a method"),
        (b'{"method": 7}', "without a method"),
        (b'{"method": "a", "method": "a"}', "twice"),
        (b'{"method": "a", "parameters": {"x": 1, "x": 1}}', "twice"),
        (b'{"method": "a", "parameters": {"x": Infinity}}', "Infinity"),
        (b'{"method": "a", "parameters": ' + b"[" * 100_000, "nested"),
        (b'{"method": "a", "parameters": {"x": ' + b"7" * 10_000 + b"}}", "not JSON"),
    ],
)
def test_what_is_no_call_says_why(data: bytes, problem: str) -> None:
    """Malformed, with the reason."""
    with pytest.raises(Malformed, match=problem):
        parsed(data)


@pytest.mark.parametrize("flag", ["more", "oneway", "upgrade", "other"])
@pytest.mark.parametrize("value", ["1", '"true"', "[]", "0.5"])
def test_a_flag_is_true_or_false(flag: str, value: str) -> None:
    """Anything else is an invalid parameter of that name."""
    with pytest.raises(StandardError) as refused:
        parsed(f'{{"method": "a", "{flag}": {value}}}'.encode())

    assert refused.value.identifier == f"{STANDARD}.InvalidParameter"
    assert refused.value.parameters == {"parameter": flag}


def test_null_is_absent() -> None:
    """As everywhere in Varlink."""
    call = parsed(b'{"method": "a", "parameters": null, "more": null, "oneway": null, "upgrade": null}')

    assert call == Call("a", {}, NOBODY, [])


def test_every_method_that_is_declared_is_served() -> None:
    """The interface definition and the table of verbs agree, for ours and for the standard one."""
    declared = {f"{NAME}.{name}" for name in re.findall(r"^method (\w+)", description(), re.MULTILINE)}
    declared |= {f"{STANDARD}.{name}" for name in re.findall(r"^method (\w+)", DESCRIPTION, re.MULTILINE)}

    assert set(VERBS) == declared
