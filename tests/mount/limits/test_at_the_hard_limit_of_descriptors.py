"""At the hard limit of descriptors whoever wants one more is told EDQUOT and the number; nobody else notices."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.budget import budget
from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.waiting import wait_for

Start = Callable[..., Instance]
LIMIT = 1024
PARTS = budget(LIMIT)


@pytest.fixture
def full(running_instance: Start, cast: Cast) -> Instance:
    """An instance with a low limit, and as many open files in it as fit."""
    os.chmod(cast.home(None), 0o755)
    instance = running_instance(arguments=["--mode", "1777"], descriptors=LIMIT)
    with fdstorefs.connect(instance.mount) as store:
        for first in range(0, PARTS.stored, MAX_DESCRIPTORS):
            numbers = range(first, min(first + MAX_DESCRIPTORS, PARTS.stored))
            files = {f"e{number}": os.memfd_create(str(number)) for number in numbers}
            store.stash_many(files)
            for file in files.values():
                os.close(file)
    return instance


@pytest.fixture
def crowd(full: Instance) -> Iterator[list[RawClient]]:
    """All the connections that a user may have, each asked once; and one has sent half a message with many files."""
    with ExitStack() as stack:
        clients = [RawClient(f"{full.mount}/.fdstore") for _ in range(PARTS.connections.per_uid)]
        for client in clients:
            stack.callback(client.close)
            client.call("Status")
        file = os.memfd_create("half")
        clients[0].send(
            encode("Stash", {"entries": [{"name": "x", "fileDescriptor": 0}]})[:-5], [file] * MAX_DESCRIPTORS
        )
        os.close(file)
        clients[1].call("Status")
        yield clients


def open_in(instance: Instance) -> int:
    """How many descriptors the server has."""
    return len(os.listdir(f"/proc/{instance.pid}/fd"))


def test_one_more_is_refused_with_the_number(full: Instance, crowd: list[RawClient]) -> None:
    """At both doors, and what to do about it."""
    file = os.memfd_create("one more")
    with pytest.raises(ErrorReply) as told:
        crowd[1].stash("more", file)
    with pytest.raises(OSError, match="quota") as made:
        os.open(f"{full.mount}/by-number", os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(file)

    assert "QuotaExceeded" == told.value.identifier
    assert f"the store is full: it may hold {PARTS.stored}" == told.value.parameters["message"]
    assert "discard some" in told.value.parameters["hint"]
    assert errno.EDQUOT == made.value.errno


def test_files_that_somebody_still_has_open_count(full: Instance, crowd: list[RawClient]) -> None:
    """They have no name any more, and their descriptors are open."""
    with open(f"{full.mount}/e0", "rb", buffering=0):
        crowd[1].call("Discard", {"names": ["e0"]})
        file = os.memfd_create("one more")
        entry = os.open(f"{full.mount}/by-number", os.O_WRONLY | os.O_CREAT, 0o600)
        with pytest.raises(OSError, match="quota") as written:
            os.write(entry, str(file).encode())
        os.close(entry)
        crowd[1].call("Discard", {"names": ["by-number"]})
        with pytest.raises(ErrorReply) as told:
            crowd[1].stash("more", file)
    os.close(file)

    assert errno.EDQUOT == written.value.errno
    assert f"holds {PARTS.stored} open files" in told.value.parameters["message"]
    assert f"limit of {LIMIT} allows {PARTS.stored}" in told.value.parameters["message"]
    assert "RLIMIT_NOFILE" in told.value.parameters["hint"]


def test_all_else_goes_on(full: Instance, crowd: list[RawClient]) -> None:
    """Retrieving all that there is, describing, reading through the mount, listing: for everybody who is connected."""
    names = [f"e{number}" for number in range(PARTS.stored)]
    for client in crowd[1:]:
        assert PARTS.stored == len(client.call("List", {"pattern": "e*"})["entries"])
        client.retrieve(*names[:MAX_DESCRIPTORS])
        client.drop()
        client.call("Describe", {"name": "e0"})
    with open(f"{full.mount}/e1", "rb", buffering=0) as stored:
        read = stored.read(10)

    assert b"" == read
    assert open_in(full) < LIMIT


def test_one_connection_more_is_refused_with_the_number(full: Instance, crowd: list[RawClient]) -> None:
    """And another user gets in."""
    with pytest.raises(ErrorReply) as told:
        RawClient(f"{full.mount}/.fdstore").call("Status")
    other = full.run([sys.executable, "-m", "fdstorefs", "--at", full.mount, "ls"], user=ORDINARY_USER)

    assert "Overloaded" == told.value.identifier
    assert f"has {len(crowd)} connections" in told.value.parameters["message"]
    assert 0 == other.returncode, other.stderr


def test_what_is_discarded_makes_room(full: Instance, crowd: list[RawClient]) -> None:
    """For so much, and no more."""
    file = os.memfd_create("new")
    crowd[1].call("Discard", {"names": ["e0"]})
    crowd[1].stash("new", file)
    other = os.memfd_create("another")
    with pytest.raises(ErrorReply):
        crowd[1].stash("another", other)
    for descriptor in (file, other):
        os.close(descriptor)

    assert Path(f"{full.mount}/new").exists()


def test_the_next_server_holds_them_all(full: Instance) -> None:
    """What fitted into the one that was killed fits into the one that goes on."""
    os.kill(full.pid, signal.SIGKILL)
    wait_for(lambda: "again after" in full.said(), 20, "the next server")
    with fdstorefs.connect(full.mount) as store:
        entries = store.list()

    assert PARTS.stored == len(entries)
    assert "EMFILE" not in full.said()
    assert "Too many open files" not in full.said()
