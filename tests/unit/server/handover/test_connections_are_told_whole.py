"""A connection at rest is the same connection again after it was told, whatever is under way on it."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.limits import Limits
from fdstorefs.core.node import OpenFile
from fdstorefs.core.store import Store
from fdstorefs.server.passed import Packing
from fdstorefs.server.varlink.framing import Framing, Message
from fdstorefs.server.varlink.handing_over import state_again, tell_state
from fdstorefs.server.varlink.peer import HeldPeer
from fdstorefs.server.varlink.retrieve import Taken
from fdstorefs.server.varlink.state import State
from fdstorefs.server.varlink.telling import peer_again, tell_peer
from tests.unit.server.handover.arriving import arrived

CREDENTIALS = st.none() | st.binary(min_size=12, max_size=12)
BYTES = st.binary(max_size=60)
STORE = Store(uid=0, gid=0, clock=lambda: 0, limits=Limits())
ENDS = os.pipe()


class Files:
    """Open files by number."""

    def __init__(self) -> None:
        self.files: dict[int, OpenFile] = {}

    def get(self, number: int) -> OpenFile:
        """One of them."""
        return self.files.setdefault(number, OpenFile(-1, "pipe", number=number))


class Parts:
    """All of a context that it takes."""

    store = STORE


MESSAGES = st.builds(
    Message,
    BYTES,
    CREDENTIALS,
    st.lists(st.sampled_from(ENDS), max_size=3),
    st.booleans(),
)
LANDINGS = st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True).map(
    lambda numbers: Taken(STORE, [OpenFile(-1, "pipe", number=number) for number in numbers])
)
STATES = st.builds(
    State,
    half=MESSAGES,
    violation=st.none() | st.text(max_size=9),
    inbox=st.lists(MESSAGES, max_size=3),
    ending=st.booleans(),
    last_words=st.none() | BYTES,
    queued=BYTES,
    in_flight=st.integers(0, 512),
    landings=st.lists(LANDINGS, max_size=2),
    call=st.none() | st.builds(Message, BYTES, CREDENTIALS, st.just([]), st.just(False)),
    told=st.dictionaries(
        st.text(max_size=3), st.text(max_size=3) | st.lists(st.text(max_size=3)), max_size=2
    ),
)


def plain(state: State) -> tuple[object, ...]:
    """What can be compared: descriptors by what they are of, open files by number."""
    messages = [state.half, *state.inbox, *([state.call] if state.call is not None else [])]
    return (
        [(one.data, one.credentials, one.lost, [os.fstat(fd) for fd in one.descriptors]) for one in messages],
        [[file.number for file in landed.files] for landed in state.landings],
        (state.violation, state.ending, state.last_words, state.queued, state.in_flight, state.told),
        state.call is None,
    )


@pytest.fixture(scope="module", autouse=True)
def ends() -> Iterator[None]:
    """The pipe is closed."""
    yield
    for end in ENDS:
        os.close(end)


@given(STATES)
def test_it_is_the_same_again(state: State) -> None:
    """All of it; and nothing is left over."""
    packing = Packing()
    unpacking = arrived(packing, tell_state(state, packing))
    again = state_again(unpacking.told, unpacking, Files(), Parts())  # type: ignore[arg-type]  # all it takes

    assert plain(state) == plain(again)
    assert [] == unpacking.left()
    held = [file for landed in again.landings for file in landed.files]
    assert all(file.holds == held.count(file) for file in held)
    for message in (again.half, *again.inbox):
        for fd in message.descriptors:
            os.close(fd)


@pytest.mark.parametrize(("pidfd", "directory"), [(False, False), (True, False), (False, True)])
def test_a_peer_is_held_by_the_same(pidfd: bool, directory: bool) -> None:
    """A pidfd, a directory, or nothing."""
    held = HeldPeer(ENDS[0] if pidfd else None, ENDS[1] if directory else None)
    packing = Packing()
    unpacking = arrived(packing, tell_peer(held, packing))
    again = peer_again(unpacking.told, unpacking)

    assert [each is not None for each in held] == [each is not None for each in again]
    for fd in again:
        if fd is not None:
            os.close(fd)


@given(
    st.lists(st.binary(min_size=1, max_size=9).map(lambda part: part.replace(b"\0", b"")), max_size=3),
    st.data(),
)
def test_a_stream_goes_on_where_it_was(parts: list[bytes], data: st.DataObject) -> None:
    """The same messages come out, wherever the other server goes on."""
    stream = b"".join(part + b"\0" for part in parts)
    cut = data.draw(st.integers(0, len(stream)))
    first, other = Framing(), Framing()
    whole = first.feed(stream[:cut], b"alice", []) if cut else []
    other.go_on_with(first.half, first.violation)
    whole += other.feed(stream[cut:], b"alice", []) if cut < len(stream) else []

    assert parts == [message.data for message in whole]
    assert (True, 0) == (other.is_at_rest, other.pending_bytes)


def test_a_violation_stays_one() -> None:
    """What comes after it is nothing."""
    first, other = Framing(), Framing()
    first.feed(b"half", b"alice", [])
    first.feed(b"of another", b"bob", [])
    other.go_on_with(first.half, first.violation)

    assert ("two processes have sent parts of one message", []) == (
        other.violation,
        other.feed(b"\0", b"alice", []),
    )
