"""Who owns a retrieved descriptor."""

import os
import socket

import pytest

from fdstorefs import Retrieved

pytestmark = pytest.mark.usefixtures("no_leak")


@pytest.fixture
def pipe() -> tuple[Retrieved, Retrieved]:
    """The two ends of a pipe, as if retrieved."""
    reading, writing = os.pipe()
    return Retrieved(reading, "r"), Retrieved(writing, "w")


def closed(*descriptors: int) -> bool:
    """Whether none of these is open."""
    return not any(os.path.exists(f"/proc/self/fd/{descriptor}") for descriptor in descriptors)


def test_it_is_closed_with_its_block(pipe: tuple[Retrieved, Retrieved]) -> None:
    """Once; closing it again does nothing."""
    with pipe[0] as reading, pipe[1] as writing:
        descriptors = reading.fileno(), writing.fileno()
    reading.close()

    assert closed(*descriptors)
    assert reading.closed
    with pytest.raises(ValueError, match="`r` is closed or was given away"):
        reading.fileno()


def test_detaching_gives_it_away(pipe: tuple[Retrieved, Retrieved]) -> None:
    """Then the caller closes it."""
    with pipe[0] as reading, pipe[1] as writing:
        descriptors = reading.detach(), writing.detach()

    assert not closed(descriptors[0])
    os.close(descriptors[0])
    os.close(descriptors[1])


def test_one_that_is_forgotten_is_closed_with_a_warning() -> None:
    """As a file would be."""
    descriptor = os.memfd_create("test")
    with pytest.warns(ResourceWarning, match=f"unclosed <retrieved 'm': descriptor {descriptor}>"):
        Retrieved(descriptor, "m")

    assert closed(descriptor)


def test_the_ends_of_a_pipe_are_files(pipe: tuple[Retrieved, Retrieved]) -> None:
    """Each for what it is open for; text when asked."""
    with pipe[1].file("w", encoding="utf-8") as writing:
        writing.write("größe\n")
    with pipe[0].file() as reading:
        assert reading.read() == "größe\n".encode()

    assert pipe[0].closed
    assert pipe[1].closed


def test_a_memfd_is_a_file_to_read_write_and_seek() -> None:
    """Open for both, and buffered."""
    with Retrieved(os.memfd_create("test"), "m").file() as file:
        file.write(b"0123456789")
        file.seek(7)
        assert file.read() == b"789"


def test_what_is_open_for_both_and_cannot_seek_is_unbuffered() -> None:
    """A buffered file object of this sort there is not."""
    ours, theirs = socket.socketpair()
    with ours, Retrieved(theirs.detach(), "s").file() as file:
        file.write(b"ping")
        assert ours.recv(4) == b"ping"


def test_a_socket_is_a_socket() -> None:
    """Of its own family and type."""
    with Retrieved(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(), "s").socket() as again:
        assert (socket.AF_INET, socket.SOCK_DGRAM) == (again.family, again.type)


def test_what_is_no_socket_is_still_owned(pipe: tuple[Retrieved, Retrieved]) -> None:
    """The error closes nothing."""
    with pipe[0] as reading, pipe[1]:
        with pytest.raises(OSError, match="non-socket"):
            reading.socket()
        assert not reading.closed


def test_what_is_no_file_is_still_owned() -> None:
    """A directory, say, or a mode that the descriptor isn't open for."""
    with Retrieved(os.open("/", os.O_PATH), "d") as directory:
        with pytest.raises(IsADirectoryError):
            directory.file()
        assert not directory.closed
