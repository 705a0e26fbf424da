"""Closers: what one user has sent and cannot be closed delays nobody else's closes, and is counted."""

import os
import socket
from pathlib import Path

from fdstorefs.host.descriptors import Descriptors
from tests.unit.host.waiting import wait_until

PATIENCE = 20.0


def stuck_files(descriptors: Descriptors, path: Path, count: int, sender: int | None) -> None:
    """So many files that cannot be closed."""
    for _ in range(count):
        descriptors.discard(descriptors.adopt(os.open(path, os.O_RDONLY)), may_block=True, sender=sender)


def test_others_are_closed_while_one_is_stuck(hostile_file: Path) -> None:
    """One user's hundred are stuck in two threads; another's is closed, and the server's own."""
    descriptors = Descriptors(most_of_one=2)
    stuck_files(descriptors, hostile_file, 100, 1)
    ends = [socket.socketpair() for _ in range(2)]
    for (_, theirs), sender in zip(ends, (2, None), strict=True):
        descriptors.discard(descriptors.adopt(theirs.detach()), may_block=True, sender=sender)
    ended = []
    for ours, _ in ends:
        ours.settimeout(PATIENCE)
        ended.append(ours.recv(1))
        ours.close()

    assert [b"", b""] == ended
    wait_until(lambda: descriptors.pending == 100)


def test_it_is_known_who_is_stuck(hostile_file: Path) -> None:
    """All threads of the one are; the other has something stuck, but what he discards is closed."""
    descriptors = Descriptors(most_of_one=2)
    stuck_files(descriptors, hostile_file, 5, 1)
    stuck_files(descriptors, hostile_file, 1, 2)
    wait_until(lambda: descriptors.stuck(1) == 5)

    assert (5, 1) == (descriptors.unclosed(1), descriptors.unclosed(2))
    assert (0, 0) == (descriptors.stuck(2), descriptors.stuck(None))
