"""One message is one verb with its numbers, its descriptors and perhaps JSON; anything else is no message."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.keeper import wire
from fdstorefs.keeper.wire import MOST_DESCRIPTORS, NotUnderstood, Verb

Ends = tuple[socket.socket, socket.socket]

NUMBERS = st.lists(st.integers(0, 2**64 - 1), max_size=300)
TOLD = st.none() | st.dictionaries(st.text(), st.integers() | st.text() | st.none(), min_size=1)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A line."""
    ours, its = wire.line()
    with ours, its:
        yield ours, its


@given(verb=st.sampled_from(Verb), numbers=NUMBERS, told=TOLD)
def test_what_is_sent_arrives(verb: Verb, numbers: list[int], told: dict[str, Any] | None) -> None:
    """Whatever it is."""
    ours, its = wire.line()
    with ours, its:
        wire.send(ours, verb, numbers, (), told)

        assert (verb, tuple(numbers), [], told or {}, False) == wire.receive(its)


def test_descriptors_arrive(ends: Ends) -> None:
    """As many as a message can carry, closed on exec."""
    files = [os.memfd_create("file") for _ in range(MOST_DESCRIPTORS)]
    wire.send(ends[0], Verb.KEEP, range(MOST_DESCRIPTORS), files)
    message = wire.receive(ends[1])

    assert message is not None
    assert [os.fstat(fd).st_ino for fd in files] == [os.fstat(fd).st_ino for fd in message.descriptors]
    assert {False} == set(map(os.get_inheritable, message.descriptors))
    for fd in (*files, *message.descriptors):
        os.close(fd)


def test_the_end_of_the_line_is_no_message(ends: Ends) -> None:
    """And what was said before is heard first."""
    wire.send(ends[0], Verb.READY)
    ends[0].close()

    first, second = wire.receive(ends[1]), wire.receive(ends[1])
    assert (Verb.READY, None) == (first and first.verb, second)


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_said_is_heard_though_something_was_left_unread(ends: Ends, count: int) -> None:
    """The kernel tells of what was left (ECONNRESET) before it gives what was said; that is the end of nothing."""
    wire.send(ends[1], Verb.SPARE)
    for _ in range(count):
        wire.send(ends[0], Verb.READY)
    ends[0].close()
    heard = [wire.receive(ends[1]) for _ in range(count + 2)]

    assert [Verb.READY] * count + [None] * 2 == [each and each.verb for each in heard]


def test_nothing_to_hear_does_not_block(ends: Ends) -> None:
    """The loop goes on."""
    with pytest.raises(BlockingIOError):
        wire.receive(ends[1])


def test_to_nobody_is_an_error(ends: Ends) -> None:
    """No signal."""
    ends[1].close()
    with pytest.raises(BrokenPipeError):
        wire.send(ends[0], Verb.READY)


GOOD = wire._HEADER.pack(b"fdsk", wire.VERSION, Verb.KEEP, 1) + bytes(8)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(GOOD[:5], id="shorter than a header"),
        pytest.param(GOOD[:-1], id="shorter than its numbers"),
        pytest.param(b"elsewhere" + GOOD, id="something else"),
        pytest.param(wire._HEADER.pack(b"fdsk", wire.VERSION + 1, Verb.KEEP, 0), id="another version"),
        pytest.param(wire._HEADER.pack(b"fdsk", wire.VERSION, 200, 0), id="another verb"),
        pytest.param(GOOD + b"{", id="no JSON"),
    ],
)
def test_what_is_no_message_is_refused(ends: Ends, message: bytes) -> None:
    """And the descriptors with it are not forgotten."""
    held = os.memfd_create("file")
    socket.send_fds(ends[0], [message], [held])
    with pytest.raises(NotUnderstood) as refused:
        wire.receive(ends[1])

    assert 1 == len(refused.value.descriptors)
    os.close(refused.value.descriptors[0])
    os.close(held)
