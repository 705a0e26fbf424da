"""Calls become bytes, bytes become replies and errors."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs import errors, interface
from fdstorefs.client import wire
from fdstorefs.client.wire import Inbox, decode, encode, encode_retrieve

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
json_objects = st.dictionaries(st.text(), json_values)
names = st.text(st.characters(blacklist_categories=()), min_size=1)


def reply_bytes(**reply: Any) -> bytes:
    """A reply as an instance sends it, without its NUL."""
    return json.dumps(reply).encode()


def errors_of_the_interface() -> list[str]:
    """The errors that the interface definition declares."""
    return re.findall(r"^error (\w+)", interface.description(), re.MULTILINE)


def test_a_call_names_the_method_in_full_and_ends_with_a_nul() -> None:
    """This is what goes over the socket."""
    expected = b'{"method":"io.fdstorefs.Store.Seal","parameters":{"name":"blue"}}\0'

    assert expected == encode("Seal", {"name": "blue"})


def test_parameters_that_are_none_are_left_out() -> None:
    """Absent and null mean the same; absent is shorter."""
    expected = b'{"method":"io.fdstorefs.Store.List","parameters":{"details":false},"more":true}\0'

    assert expected == encode("List", {"pattern": None, "details": False}, more=True)


@given(names)
def test_the_quick_way_to_retrieve_says_the_same(name: str) -> None:
    """Whatever the name, the short cut makes the bytes of the long way."""
    assert encode("Retrieve", {"names": [name]}) == encode_retrieve(name)


@given(names)
def test_any_name_is_sent_in_ascii_without_a_nul_and_comes_back(name: str) -> None:
    """Names that are not UTF-8 travel too, as escaped lone surrogates."""
    message = encode_retrieve(name)

    assert message.isascii()
    assert message.index(b"\0") == len(message) - 1
    assert name == json.loads(message[:-1])["parameters"]["names"][0]


def test_a_call_too_long_for_an_instance_is_not_sent() -> None:
    """The instance would end the connection."""
    with pytest.raises(errors.InvalidArgument, match="1048576"):
        encode("Discard", {"names": ["x" * wire.MAX_MESSAGE]})


@given(json_objects)
def test_parameters_of_a_reply_come_out_as_they_went_in(parameters: dict[str, Any]) -> None:
    """Any JSON object is a reply."""
    assert (parameters, False) == decode(reply_bytes(parameters=parameters))


def test_a_reply_without_parameters_has_none() -> None:
    """They may be absent."""
    assert ({}, False) == decode(b"{}")


def test_white_space_around_a_reply_is_no_harm() -> None:
    """The short cut for replies without white space doesn't refuse others."""
    assert ({"a": 1}, True) == decode(b' \n{"parameters": {"a": 1}, "continues": true} ')


@given(st.binary())
def test_whatever_an_instance_sends_raises_nothing_but_a_store_error(message: bytes) -> None:
    """A broken instance makes an error, not a traceback."""
    try:
        parameters, _ = decode(message)
    except errors.StoreError:
        return

    assert isinstance(parameters, dict)


@pytest.mark.parametrize(
    "message", [b"", b"[]", b"7", b"{", b'{"parameters": 7}', b"\xff", b"[" * 100_000, b"{} {}"]
)
def test_what_is_no_reply_breaks_the_protocol(message: bytes) -> None:
    """Also when it is nested deeper than any parser goes."""
    with pytest.raises(errors.ProtocolError):
        decode(message)


@pytest.mark.parametrize("identifier", errors_of_the_interface())
def test_each_error_of_the_interface_is_the_class_of_that_name(identifier: str) -> None:
    """`io.fdstorefs.Store.X` is raised as `fdstorefs.errors.X`, with message, name and hint."""
    reply = reply_bytes(
        error=f"{wire.INTERFACE}.{identifier}", parameters={"message": "no", "name": "web", "hint": "ask"}
    )
    with pytest.raises(errors.StoreError) as raised:
        decode(reply)

    expected = errors.StoreError if identifier == "Failed" else getattr(errors, identifier)
    assert type(raised.value) is expected
    assert ("no", "web", "ask") == (raised.value.message, raised.value.name, raised.value.hint)


@pytest.mark.parametrize("error", ["org.varlink.service.MethodNotFound", "io.fdstorefs.Store.Newer", "", 7])
def test_an_error_that_the_client_does_not_know_is_a_plain_store_error(error: object) -> None:
    """One of the same name in another interface is another error."""
    with pytest.raises(errors.StoreError) as raised:
        decode(reply_bytes(error=error))

    assert type(raised.value) is errors.StoreError
    assert str(error) in raised.value.message


@pytest.mark.parametrize(("reason", "expected"), [("no rule allows it", "no rule allows it"), (7, None)])
def test_a_denial_says_why_and_where_it_is_on_record(reason: object, expected: str | None) -> None:
    """The error has it; what is no text is nothing."""
    parameters = {"message": "no", "reason": reason, "decision": "0f-7"}
    with pytest.raises(errors.Denied) as caught:
        decode(reply_bytes(error=f"{wire.INTERFACE}.Denied", parameters=parameters))

    assert (expected, "0f-7") == (caught.value.reason, caught.value.decision)


def test_an_error_of_another_interface_is_not_ours() -> None:
    """Only the interface's own errors become its classes."""
    with pytest.raises(errors.StoreError) as raised:
        decode(reply_bytes(error="com.example.Denied"))

    assert type(raised.value) is errors.StoreError


@given(st.lists(st.binary().map(lambda data: data.replace(b"\0", b""))), st.data())
def test_messages_come_out_whole_however_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    """The stream may be cut anywhere."""
    stream = b"".join(message + b"\0" for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    inbox = Inbox()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        inbox.push(stream[start:end])

    assert messages == [inbox.pop() for _ in messages]
    assert inbox.pop() is None
    assert inbox.is_empty


def test_a_message_without_end_is_given_up() -> None:
    """Nobody fills the client's memory."""
    inbox = Inbox()
    inbox.push(b"x" * wire.MAX_REPLY)
    with pytest.raises(errors.ProtocolError, match="16777216"):
        inbox.push(b"x")


def test_the_beginning_of_a_message_is_not_nothing() -> None:
    """`is_empty` tells whether anything is left over."""
    inbox = Inbox()
    inbox.push(b"half")

    assert inbox.pop() is None
    assert not inbox.is_empty
