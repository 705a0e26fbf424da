"""The line to the enforcer: replies belong to calls, nothing is waited for too long, and nonsense ends it."""

import json
import os
import socket
from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from fdstorefs.server.guarding.line import Line, LineLost, Refusal

SHORT = 0.05


class FarEnd:
    """What the enforcer would do, one step at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    def say(self, reply: Any) -> None:
        """Send one reply."""
        self.socket.sendall(json.dumps(reply).encode() + b"\0")

    def heard(self) -> tuple[list[dict[str, Any]], int]:
        """All calls that are here, and how many descriptors came with them."""
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(1024))
        numbers = array("i")
        for _, _, rights in ancillary:
            numbers.frombytes(rights)
        for number in numbers:
            os.close(number)
        return [json.loads(message) for message in data.split(b"\0")[:-1]], len(numbers)


@pytest.fixture
def ends() -> Iterator[tuple[Line, FarEnd]]:
    """A line and its far end."""
    near, far = socket.socketpair()
    line = Line(near)
    yield line, FarEnd(far)
    line.close()
    far.close()


def test_a_call_goes_out_with_its_descriptors(ends: tuple[Line, FarEnd]) -> None:
    """In one message, to the enforcer's interface."""
    line, far = ends
    far.say({"parameters": {"answer": 1}})
    with open(os.devnull, "rb") as file:
        told = line.call("Guard", {"files": []}, [file.fileno(), file.fileno()])

    assert {"answer": 1} == told
    assert ([{"method": "io.fdstorefs.Enforcer.Guard", "parameters": {"files": []}}], 2) == far.heard()


def test_an_error_is_a_refusal(ends: tuple[Line, FarEnd]) -> None:
    """With the words that came, and the line goes on."""
    line, far = ends
    far.say({"error": "io.fdstorefs.Enforcer.Denied", "parameters": {"message": "no", "hint": "ask"}})
    far.say({"parameters": {}})
    with pytest.raises(Refusal) as raised:
        line.call("Register", {})

    assert ("Denied", "no", "ask") == (raised.value.identifier, raised.value.message, raised.value.hint)
    assert {} == line.call("Register", {})


def test_replies_to_what_was_posted_are_never_taken_for_another(ends: tuple[Line, FarEnd]) -> None:
    """They come first, also if they are errors, and also if nobody attended to them."""
    line, far = ends
    line.post("Release", {"descriptor": 0})
    line.post("Release", {"descriptor": 0})
    far.say({"parameters": {"which": "first"}})
    far.say({"error": "io.fdstorefs.Enforcer.BadDescriptor", "parameters": {}})
    far.say({"parameters": {"which": "third"}})

    assert {"which": "third"} == line.call("Guard", {})


def test_what_was_posted_is_attended_to(ends: tuple[Line, FarEnd]) -> None:
    """Half a reply is waited for."""
    line, far = ends
    line.post("Release", {"descriptor": 0})
    far.socket.sendall(b'{"param')
    line.attend()
    far.socket.sendall(b'eters":{}}\0')
    line.attend()
    far.say({"parameters": {"which": "second"}})

    assert {"which": "second"} == line.call("Guard", {})


def test_who_does_not_answer_is_gone(ends: tuple[Line, FarEnd]) -> None:
    """A caller has an end of patience."""
    line, _ = ends
    with pytest.raises(LineLost, match="does not answer"):
        line.call("Guard", {}, patience=SHORT)


def test_who_does_not_listen_is_gone(ends: tuple[Line, FarEnd]) -> None:
    """Also before he has heard everything."""
    line, _ = ends
    with pytest.raises(LineLost, match="does not answer"):
        line.call("Guard", {"much": "x" * (1 << 22)}, patience=SHORT)


def test_who_hangs_up_is_gone(ends: tuple[Line, FarEnd]) -> None:
    """Whoever notices first."""
    line, far = ends
    far.socket.close()
    with pytest.raises(LineLost):
        line.attend()
    with pytest.raises(LineLost):
        line.post("Release", {})
    with pytest.raises(LineLost):
        line.call("Guard", {})


@pytest.mark.parametrize(
    "nonsense", [b"\0", b"{\0", b"[]\0", b"7\0", b'"x"\0', b"null\0", b"\xff\0", b"[" * 100_000 + b"\0"]
)
def test_nonsense_ends_it(ends: tuple[Line, FarEnd], nonsense: bytes) -> None:
    """Whoever sends that is not the enforcer."""
    line, far = ends
    far.socket.sendall(nonsense)
    with pytest.raises(LineLost, match="no reply"):
        line.call("Guard", {})


def test_what_nobody_asked_for_ends_it(ends: tuple[Line, FarEnd]) -> None:
    """Else it would be taken for the answer to what is asked next."""
    line, far = ends
    far.say({"parameters": {}})
    with pytest.raises(LineLost, match="nobody asked for"):
        line.attend()
