"""A process that an older kernel cannot name again is known by what the other server has held it by."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink import peer
from fdstorefs.server.varlink.ancillary import UCRED
from fdstorefs.server.varlink.peer import HeldPeer
from fdstorefs.server.varlink.sender import Sender


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A connection whose other end is this process, on a kernel that does not know SO_PEERPIDFD."""
    monkeypatch.setattr(peer, "kernel_knows_peer_pidfds", lambda: False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


def copy(held: HeldPeer) -> HeldPeer:
    """As it arrives in another process."""
    return HeldPeer(*(os.dup(fd) if fd is not None else None for fd in held))


@pytest.mark.parametrize("asked", [False, True])
def test_it_is_the_same_process(connected: socket.socket, asked: bool) -> None:
    """By its pidfd; once somebody has asked about it, by its directory."""
    credentials = UCRED.pack(os.getpid(), os.getuid(), os.getgid())
    first = Sender(connected, Subjects())
    if asked:
        assert first.subject(credentials).groups is not None
    held = copy(first.held)
    first.close()
    again = Sender(connected, Subjects(), held)
    groups = again.subject(credentials).groups
    again.close()

    assert [not asked, asked] == [each is not None for each in held]
    assert frozenset((os.getgid(), *os.getgroups())) == groups


def test_whoever_has_its_number_by_now_is_not_taken_for_it(connected: socket.socket) -> None:
    """It was gone when the other server had looked: this one does not look by number."""
    again = Sender(connected, Subjects(), HeldPeer(None, None))
    subject = again.subject(UCRED.pack(os.getpid(), os.getuid(), os.getgid()))

    assert subject.groups is None
    again.close()


def test_one_that_has_ended_is_nobody(connected: socket.socket) -> None:
    """What it is held by says so."""
    child = subprocess.Popen(["sleep", "60"])
    pidfd = os.pidfd_open(child.pid)
    child.kill()
    child.wait()
    again = peer.Peer(connected, child.pid, HeldPeer(pidfd, None))

    assert again.task() is None
    again.close()
