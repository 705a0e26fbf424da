"""A descriptor that the kernel left out: what is said, and that nothing stays open."""

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fdstorefs.client import calls
from fdstorefs.client.channel import Channel
from fdstorefs.client.reply import result_of
from fdstorefs.client.retrieved import Retrieved
from fdstorefs.errors import Denied

REPLY = b'{"parameters":{"entries":[{"name":"a","fileDescriptor":0},{"name":"b","fileDescriptor":1}]}}'


class Truncated(Channel):
    """A channel on which the kernel has delivered the first of two descriptors."""

    def __init__(self, arrived: int) -> None:
        super().__init__(socket.socket(socket.AF_UNIX))
        self._arrived = arrived

    def receive(self) -> tuple[bytes, list[int], bool]:
        """The reply, with what arrived."""
        return REPLY, [self._arrived], True


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """This process has as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def channel() -> Iterator[Truncated]:
    """One descriptor has arrived, the next was left out."""
    channel = Truncated(os.open(os.devnull, os.O_RDONLY))
    yield channel
    channel.close()


def is_open(descriptor: int) -> bool:
    """Whether a descriptor is open."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_what_the_kernel_refuses_is_denied(channel: Truncated) -> None:
    """The one after the last that arrived is named, and the others are closed."""
    with pytest.raises(Denied) as raised:
        result_of(calls.retrieve_many(["a", "b"]), channel)

    assert raised.value.message == "the kernel refused to deliver `b`"
    assert raised.value.name == "b"
    assert not is_open(channel._arrived)


def test_no_room_for_a_descriptor_is_not_a_denial(channel: Truncated) -> None:
    """At the receiver's own limit the error is EMFILE."""
    with no_more_descriptors(), pytest.raises(OSError, match="as many descriptors as it may") as raised:
        result_of(calls.retrieve_many(["a", "b"]), channel)

    assert raised.value.errno == errno.EMFILE
    assert not is_open(channel._arrived)


@pytest.mark.parametrize("call", [calls.take("b"), calls.take_many(["a", "b"])])
def test_what_is_lost_by_taking_is_said_to_be_lost(
    call: calls.Call[Retrieved | dict[str, Retrieved]], channel: Truncated
) -> None:
    """A take that is refused at delivery can't be repeated."""
    with pytest.raises(Denied, match="`b`; it has left the store nonetheless"):
        result_of(call, channel)
