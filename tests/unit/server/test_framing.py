"""Framing: however the stream is cut, the same messages come out, each with its own descriptors."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.interface import MAX_DESCRIPTORS, MAX_MESSAGE
from fdstorefs.server.varlink.framing import Framing, Message

ALICE, BOB = b"alice.......", b"bob........."


@dataclass
class Packet:
    """What one sendmsg puts into the stream, as the kernel keeps it: descriptors leave with the first byte."""

    data: bytes
    credentials: bytes = ALICE
    descriptors: list[int] = field(default_factory=list)


def receive(queue: list[Packet], size: int) -> tuple[bytes, bytes, list[int]]:
    """One recvmsg of at most `size` bytes from a Unix stream, by the kernel's rules."""
    piece, credentials, descriptors = b"", queue[0].credentials, list[int]()
    while queue and len(piece) < size and queue[0].credentials == credentials:
        packet = queue[0]
        taken = packet.data[: size - len(piece)]
        packet.data = packet.data[len(taken) :]
        piece += taken
        descriptors, packet.descriptors = packet.descriptors, []
        if not packet.data:
            queue.pop(0)
        if descriptors:
            break
    return piece, credentials, descriptors


def feed_all(framing: Framing, queue: list[Packet], sizes: Iterator[int]) -> list[Message]:
    """Everything in the queue, received in pieces of these sizes."""
    messages: list[Message] = []
    while queue:
        messages += framing.feed(*receive(queue, next(sizes)))
    return messages


bodies = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"0"))
senders = st.sampled_from([ALICE, BOB])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Message], list[Packet]]:
    """Messages, and packets that carry them: one with descriptors begins a packet and is alone in it."""
    messages, packets, number = list[Message](), list[Packet](), 0
    for body, sender, count in draw(
        st.lists(st.tuples(bodies, senders, st.integers(min_value=0, max_value=3)), max_size=12)
    ):
        descriptors = list(range(number, number + count))
        number += count
        messages.append(Message(body, sender, list(descriptors)))
        packets += cut(draw, body + b"\0", sender, descriptors)
    return messages, packets


def cut(draw: st.DrawFn, data: bytes, sender: bytes, descriptors: list[int]) -> list[Packet]:
    """The packets of one message; the kernel cuts long ones, and only the first has the descriptors."""
    end = draw(st.integers(min_value=1, max_value=len(data)))
    first = Packet(data[:end], sender, list(descriptors))
    return [first, Packet(data[end:], sender)] if data[end:] else [first]


def sizes_of(numbers: list[int]) -> Iterator[int]:
    """These sizes over and over."""
    while True:
        yield from numbers


@given(streams(), st.lists(st.integers(min_value=1, max_value=64), min_size=1, max_size=8))
def test_any_way_to_cut_the_stream_gives_the_same_messages(
    stream: tuple[list[Message], list[Packet]], sizes: list[int]
) -> None:
    """Whatever packets and pieces the bytes travel in, messages, senders and descriptors are as sent."""
    sent, packets = stream
    framing = Framing()
    came = feed_all(framing, packets, sizes_of(sizes))

    assert came == sent
    assert framing.is_at_rest
    assert framing.violation is None
    assert framing.abandon() == []


def test_parts_from_two_senders_are_no_message() -> None:
    """A message that one process began and another ended is refused."""
    framing = Framing()
    framing.feed(b"abc", ALICE, [])

    assert framing.feed(b"def\0", BOB, []) == []
    assert framing.violation == "two processes have sent parts of one message"


def test_the_end_alone_from_another_sender_is_refused_too() -> None:
    """Not even the NUL may be somebody else's."""
    framing = Framing()
    framing.feed(b"abc", ALICE, [])

    assert framing.feed(b"\0", BOB, []) == []
    assert framing.violation is not None


def test_whole_messages_of_two_senders_are_two_messages() -> None:
    """The sender is a matter of each message."""
    framing = Framing()
    came = framing.feed(b"a\0", ALICE, []) + framing.feed(b"b\0", BOB, [])

    assert [(message.data, message.credentials) for message in came] == [(b"a", ALICE), (b"b", BOB)]


def test_messages_before_a_violation_come_out() -> None:
    """What was complete when the stream went wrong is still served."""
    framing = Framing()
    came = framing.feed(b"good\0" + b"x" * (MAX_MESSAGE + 1), ALICE, [])

    assert [message.data for message in came] == [b"good"]
    assert framing.violation == f"a message is over {MAX_MESSAGE} bytes long"


def test_nothing_comes_out_after_a_violation() -> None:
    """A stream that went wrong stays wrong, and descriptors that come later are given up."""
    framing = Framing()
    framing.feed(b"x" * (MAX_MESSAGE + 1), ALICE, [7])

    assert framing.feed(b"good\0", ALICE, [8]) == []
    assert framing.abandon() == [7, 8]
    assert framing.abandon() == []


def test_the_longest_message_in_one_piece() -> None:
    """MAX_MESSAGE bytes and the NUL are a message; one byte more is none."""
    fits, too_long = Framing(), Framing()

    assert len(fits.feed(b"x" * MAX_MESSAGE + b"\0", ALICE, [])) == 1
    assert too_long.feed(b"x" * (MAX_MESSAGE + 1) + b"\0", ALICE, []) == []
    assert too_long.violation is not None


def test_too_many_descriptors_are_a_violation() -> None:
    """Descriptors can be added to a message piece by piece, up to as many as one sendmsg can carry."""
    framing = Framing()
    framing.feed(b"x", ALICE, [1] * MAX_DESCRIPTORS)
    enough = framing.violation
    framing.feed(b"x", ALICE, [1])

    assert enough is None
    assert framing.violation == f"a message has more than {MAX_DESCRIPTORS} descriptors"


def test_lost_descriptors_belong_to_the_last_message_of_a_piece() -> None:
    """The kernel said of this piece that descriptors were lost."""
    framing = Framing()
    came = framing.feed(b"a\0b\0", ALICE, [], lost=True)

    assert [message.lost for message in came] == [False, True]


def test_lost_descriptors_of_a_message_that_is_not_whole_yet() -> None:
    """The loss is remembered until the message is complete, and not beyond."""
    framing = Framing()
    framing.feed(b"a", ALICE, [], lost=True)
    came = framing.feed(b"\0b\0", ALICE, [])

    assert [message.lost for message in came] == [True, False]


def test_a_message_in_tiny_pieces_takes_no_more_memory_than_its_bytes() -> None:
    """Pieces are joined as they come."""
    framing = Framing()
    for _ in range(1000):
        framing.feed(b"xy", ALICE, [])

    assert framing.pending_bytes == 2000
