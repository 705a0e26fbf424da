"""A new program says why it cannot be a server, on the line to the former one as long as it is that."""

import os
import socket
from typing import Any

import pytest

from fdstorefs.keeper import program, succession

HELD: dict[str, Any] = {
    "line": -1,
    "keeper": 1,
    "files": {},
    "journal": None,
    "inherited": [],
    "closing": [],
}


def fail(monkeypatch: pytest.MonkeyPatch, former: int, stored: int | None) -> None:
    """A server that fails; before that it has put another file where the line to the former one was."""

    def start(*_arguments: object) -> int:
        if stored is not None:
            os.dup2(stored, former)
        raise ValueError("no luck")

    monkeypatch.setattr(program, "start", start)
    monkeypatch.setattr(program, "read_held", lambda _told: None)
    told = {
        "format": program.FORMAT,
        "how": ["m", "f", {}],
        "held": HELD | {"former": former},
        "keeper": None,
    }
    with pytest.raises(ValueError, match="no luck"):
        succession.main(told)


def test_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody else here tells it anything."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        fail(monkeypatch, its.fileno(), None)

        assert b'{"say": "failed", "why": "ValueError: no luck"}' == ours.recv(1000)


def test_nothing_is_written_to_what_has_its_number_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """That may be a stored file."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stored = os.memfd_create("stored")
    with ours, its:
        fail(monkeypatch, its.fileno(), stored)

    assert 0 == os.fstat(stored).st_size
    os.close(stored)
