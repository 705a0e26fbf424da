"""Hang-ups: what can, what has, and what is never asked."""

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from fdstorefs.host.file_kind import classify
from fdstorefs.host.hang_up import can_hang_up, has_hung_up

Ends = tuple[int, Callable[[], None]]


def pipe_that_is_read() -> Ends:
    """Its writer goes."""
    reader, writer = os.pipe()
    return reader, lambda: os.close(writer)


def pipe_that_is_written() -> Ends:
    """Its reader goes."""
    reader, writer = os.pipe()
    return writer, lambda: os.close(reader)


def unix_stream() -> Ends:
    """Its peer goes."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.close


def tcp() -> Ends:
    """The connection is reset."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return ours.detach(), theirs.close


@pytest.mark.parametrize("make", [pipe_that_is_read, pipe_that_is_written, unix_stream, tcp])
def test_who_has_gone_has_hung_up(make: Callable[[], Ends]) -> None:
    """Or the open file is in error, and before that it is neither."""
    descriptor, leave = make()
    facts = classify(descriptor)
    can = can_hang_up(descriptor, facts.kind, facts.access)
    before = has_hung_up(descriptor, facts.kind)
    leave()
    if facts.kind == "socket":
        select.select([descriptor], [], [], 10)
    after = has_hung_up(descriptor, facts.kind)
    os.close(descriptor)

    assert can
    assert before is None
    assert after in ("hang-up", "error")


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6])
def test_who_was_never_there_has_not_gone(family: int) -> None:
    """A new stream socket is hung up to the kernel, and a listening one never."""
    with closing(socket.socket(family, socket.SOCK_STREAM)) as new:
        poll = select.poll()
        poll.register(new, 0)

        assert can_hang_up(new.fileno(), "socket", "rw")
        assert [(new.fileno(), select.POLLHUP)] == poll.poll(0)
        assert has_hung_up(new.fileno(), "socket") is None


@pytest.fixture
def others() -> Iterator[dict[str, int]]:
    """What is left alone."""
    epoll = select.epoll()
    made = {
        "memfd": os.memfd_create("x"),
        "file in /proc": os.open("/proc/self/mounts", os.O_RDONLY),
        "directory": os.open("/", os.O_RDONLY),
        "O_PATH": os.open("/", os.O_PATH),
        "device": os.open("/dev/null", os.O_RDWR),
        "terminal": os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY),
        "netlink": socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).detach(),
        "epoll": os.dup(epoll.fileno()),
    }
    yield made
    for descriptor in made.values():
        os.close(descriptor)


def test_what_would_ask_somebody_is_not_asked(others: dict[str, int]) -> None:
    """Nor what calls itself in error for other reasons."""
    facts = {name: classify(descriptor) for name, descriptor in others.items()}

    assert dict.fromkeys(others, False) == {
        name: can_hang_up(descriptor, facts[name].kind, facts[name].access)
        for name, descriptor in others.items()
    }
