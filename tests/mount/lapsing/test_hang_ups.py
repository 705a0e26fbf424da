"""Entries that are evicted from a running instance as the other side has hung up."""

import os
import select
import socket
import sys
from pathlib import Path

import pytest

from tests.mount.lapsing.conftest import Scene
from tests.mount.lapsing.test_expiry import restart
from tests.unit.audit.schema_check import faults

POLL = "user.fdstorefs.poll"


@pytest.mark.parametrize("how", ["reader", "writer", "socket"])
def test_who_hangs_up_is_evicted(scene: Scene, how: str) -> None:
    """Under all names and in all entries that are polled; watchers and the audit log are told."""
    if how == "socket":
        stored, other = (each.detach() for each in socket.socketpair())
    else:
        stored, other = os.pipe()[:: 1 if how == "reader" else -1]
    with scene.store.watch() as watch:
        scene.store.stash_many({"a": stored, "b": stored})
        scene.store.link("a", "c")
        scene.store.stash("kept", stored, poll=False)
        os.close(stored)
        os.close(other)
        scene.until_gone("a", "b", "c")
        told = [next(watch) for _ in range(7)]
    records = scene.records("evicted", 3)

    assert ["evicted"] * 3 == [each.change for each in told[4:]]
    assert {("a", os.getpid()), ("b", os.getpid()), ("c", os.getpid())} == {
        (record["entry"]["name"], record["entry"]["stasher"]["pid"]) for record in records
    }
    assert [[]] * 3 == [faults(record) for record in records]
    assert ["kept"] == scene.names()


def test_what_nobody_can_hang_up_stays(scene: Scene) -> None:
    """Files, listening sockets, and sockets that nobody was ever at the other side of."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = [socket.socket(), socket.socket(socket.AF_UNIX), listening]
    mounts = open("/proc/self/mounts")
    scene.store.stash_many({"new": made[0], "unix": made[1], "listening": made[2], "mounts": mounts})
    reader, writer = os.pipe()
    scene.store.stash("pipe", reader)
    os.close(writer)
    scene.until_gone("pipe")

    assert ["listening", "mounts", "new", "unix"] == scene.names()
    assert "pipe" == scene.records("evicted", 1)[0]["entry"]["name"]
    for each in (*made, mounts):
        each.close()
    os.close(reader)


def test_a_socket_is_watched_from_before_it_was_connected(scene: Scene) -> None:
    """It is hung up to the kernel until then, and when the peer has gone it is evicted."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as ours:
        scene.store.stash("x", ours)
        ours.connect(listening.getsockname())
        theirs, _ = listening.accept()
        before = scene.names()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        scene.until_gone("x")

    assert ["x"] == before


def test_what_has_hung_up_before_is_evicted_at_once(scene: Scene) -> None:
    """Through the mount, too; and once more if it comes again."""
    reader, writer = os.pipe()
    os.close(writer)
    for _ in range(2):
        scene.store.stash("x", reader)
        scene.until_gone("x")
    Path(f"{scene.mount}/y").write_text(f"{reader}\n")
    scene.until_gone("y")
    os.close(reader)

    assert 3 == len(scene.records("evicted", 3))


def test_no_poll_keeps_it_and_can_be_taken_back(scene: Scene) -> None:
    """By the command line and by the attribute."""
    reader, writer = os.pipe()
    os.close(writer)
    arguments = ["--at", scene.mount, "put", "x", str(reader), "--no-poll"]
    done = scene.instance.run([sys.executable, "-m", "fdstorefs", *arguments], pass_fds=[reader])
    restart(scene)
    polled = os.getxattr(f"{scene.mount}/x", POLL)
    os.setxattr(f"{scene.mount}/x", POLL, b"1")
    scene.until_gone("x")
    os.close(reader)

    assert ("", b"0") == (done.stderr, polled)
    with pytest.raises(FileNotFoundError):
        os.getxattr(f"{scene.mount}/x", POLL)


def test_it_can_be_said_before_there_is_anything_in_it(scene: Scene) -> None:
    """An empty entry is told to stay, and then is filled."""
    reader, writer = os.pipe()
    os.close(writer)
    path = Path(f"{scene.mount}/x")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.setxattr(path, POLL, b"0")
    path.write_text(f"{reader}\n")
    scene.store.stash("other", reader)
    scene.until_gone("other")
    os.close(reader)

    assert ["x"] == scene.names()


def test_a_sealed_box_keeps_it_until_it_is_unsealed(scene: Scene) -> None:
    """And a name outside goes at once."""
    reader, writer = os.pipe()
    scene.store.make_box("box")
    scene.store.stash("box/a", reader)
    scene.store.link("box/a", "out")
    scene.store.seal("box")
    os.close(writer)
    scene.until_gone("out")
    before = scene.names()
    scene.store.unseal("box")
    os.close(reader)

    assert ["box", "box/a"] == before
    assert ["box"] == scene.names()


def test_who_hangs_up_while_there_is_no_server(scene: Scene) -> None:
    """The next one finds it out."""
    reader, writer = os.pipe()
    scene.store.stash_many({"x": reader, "stays": os.memfd_create("m")})
    os.close(reader)
    restart(scene, meanwhile=lambda: os.close(writer))
    scene.until_gone("x")

    assert ["stays"] == scene.names()


def test_readers_through_the_mount_are_waited_for_beside(scene: Scene) -> None:
    """The same descriptor is waited on by a reader: it gets what was written, then the end, and the entry goes."""
    reader, writer = os.pipe()
    scene.store.stash("x", reader)
    os.close(reader)
    with open(f"{scene.mount}/x", "rb", buffering=0) as handle:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        nothing = poll.poll(0)
        os.write(writer, b"last words")
        words = handle.read(100)
        os.close(writer)
        scene.until_gone("x")
        end = handle.read(100)

    assert ([], b"last words", b"") == (nothing, words, end)
