"""Connections are carried over to another server with all that is under way; their clients notice nothing."""

import os
import select
import socket
from collections.abc import Callable

import pytest

from tests.mount.handover.succession import Succession
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.waiting import wait_for

Change = Callable[[], None]
Connect = Callable[[], RawClient]

MUCH = 2000
MANY, LOT = 700, 100
"""More descriptors than are under way to a client at a time."""


def fill(store: Succession, count: int = MUCH) -> list[str]:
    """Make so many entries that a list of them doesn't fit into a socket."""
    names = [f"{number:05}" for number in range(count)]
    for name in names:
        os.mknod(store.path(name), 0o600)
    return names


def fill_up(client: RawClient, store: Succession) -> None:
    """Ask for more than fits, and read nothing until the server has stopped sending."""
    client.send(encode("List"))
    wait_for(lambda: has_stopped(client), what="a full socket")
    store.holds()


def has_stopped(client: RawClient) -> bool:
    """Whether some has come, but no end."""
    return waits(client) and len(client.socket.recv(1 << 22, socket.MSG_PEEK)) > 1 << 16


def waits(client: RawClient) -> bool:
    """Whether there is something to read."""
    return bool(select.select([client.socket], [], [], 0)[0])


def names_in(parameters: dict[str, object]) -> list[str]:
    """The names in a reply of List."""
    entries = parameters["entries"]
    assert isinstance(entries, list)
    return [entry["name"] for entry in entries]


def test_a_connection_at_rest(store: Succession, connect: Connect, change: Change) -> None:
    """It is asked before and after."""
    client = connect()
    memfd = store.memfd(b"data")
    client.stash("x", memfd)
    change()

    assert b"data" == os.pread(client.retrieve("x")[0], 9, 0)
    assert 1 == store.holds()["connections"]


def test_who_connects_meanwhile_waits(store: Succession, connect: Connect, change: Change) -> None:
    """In the listening socket, which both servers have."""
    client = connect()
    client.call("List")
    change()

    assert [] == connect().call("List")["entries"]


@pytest.mark.parametrize("at", [1, 20, -1])
def test_half_a_message(store: Succession, connect: Connect, change: Change, at: int) -> None:
    """The other half comes when the other serves; the descriptors were with the first."""
    client = connect()
    client.call("List")
    entries = [{"name": "x", "fileDescriptor": 0}]
    message = encode("Stash", {"entries": entries})
    client.send(message[:at], [store.memfd(b"data")])
    change()
    client.send(message[at:])

    assert 1 == len(client.reply()["ids"])
    assert b"data" == os.pread(client.retrieve("x")[0], 9, 0)


def test_half_a_message_of_another_process(store: Succession, connect: Connect, change: Change) -> None:
    """Whose first half it was is not forgotten."""
    client = connect()
    client.call("List")
    message = encode("List")
    child = os.fork()
    if not child:
        client.socket.send(message[:9])
        os._exit(0)
    os.waitpid(child, 0)
    change()
    client.send(message[9:])

    with pytest.raises(ErrorReply, match="two processes have sent parts of one message"):
        client.reply()


def test_what_is_not_read_yet_is_not_lost(store: Succession, connect: Connect, change: Change) -> None:
    """And further calls are answered after it, in turn."""
    names = fill(store)
    client = connect()
    fill_up(client, store)
    client.send(encode("Retrieve", {"names": ["nothing"]}) + encode("List", {"pattern": "00001"}))
    change()

    assert names == names_in(client.reply())
    with pytest.raises(ErrorReply, match="NoSuchEntry"):
        client.reply()
    assert ["00001"] == names_in(client.reply())


def test_a_list_in_several_replies(store: Succession, connect: Connect, change: Change) -> None:
    """Each entry once, in order."""
    names = fill(store)
    os.mkdir(store.path("00700-"))
    os.mknod(store.path("00700-/inside"))
    client = connect()
    client.send(encode("List", more=True))
    wait_for(lambda: has_stopped(client), what="a full socket")
    store.holds()
    change()
    got, more = [], True
    while more:
        parameters, more = client.full_reply()
        got += names_in(parameters)

    assert sorted([*names, "00700-", "00700-/inside"]) == got


def test_a_dump(store: Succession, connect: Connect, change: Change) -> None:
    """Each entry once, and each open file once, though others have come meanwhile."""
    client, other = connect(), connect()
    names = [f"{number:05}" for number in range(MANY)]
    for start in range(0, MANY, LOT):
        lot = names[start : start + LOT]
        files = [os.memfd_create(name) for name in lot]
        for file, name in zip(files, lot, strict=True):
            os.write(file, name.encode())
        entries = [{"name": name, "fileDescriptor": index} for index, name in enumerate(lot)]
        other.call("Stash", {"entries": entries}, files)
        for file in files:
            os.close(file)
    os.link(store.path(names[0]), store.path("z"))
    client.send(encode("Dump", more=True))
    wait_for(lambda: waits(client), what="the beginning")
    store.holds()
    change()
    got, texts, more = [], [], True
    while more:
        parameters, more = client.full_reply()
        nodes = parameters["nodes"]
        assert isinstance(nodes, list)
        got += [name for node in nodes for name in node["names"]]
        texts += [node["names"][0] for node in nodes if "fileDescriptor" in node]

    assert sorted([*names, "z"]) == sorted(got)
    assert texts == [os.pread(each, 9, 0).decode() for each in client.received]


def test_a_watch_goes_on_without_a_gap(store: Succession, connect: Connect, change: Change) -> None:
    """Without being told again that it has begun, and once only."""
    client = connect()
    client.send(encode("Watch", {"pattern": "seen-*"}, more=True))
    assert ({"change": "ready"}, True) == client.full_reply()
    os.mknod(store.path("seen-1"))
    change()
    os.mknod(store.path("hidden"))
    os.mknod(store.path("seen-2"))
    told = [client.full_reply() for _ in range(2)]

    assert [("created", "seen-1", True), ("created", "seen-2", True)] == [
        (parameters["change"], parameters["entry"]["name"], more) for parameters, more in told
    ]
    assert 1 == store.holds()["listeners"]
    assert not waits(client)


def test_a_watch_that_is_not_read(store: Succession, connect: Connect, change: Change) -> None:
    """What is queued comes first, then what happens at the other server."""
    client = connect()
    client.send(encode("Watch", more=True))
    client.full_reply()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    names = fill(store, 1200)
    change()
    os.mknod(store.path("late"))
    told = [client.full_reply()[0]["entry"]["name"] for _ in range(1201)]

    assert [*names, "late"] == told


def test_a_call_that_waits_for_room(store: Succession, connect: Connect, change: Change) -> None:
    """Descriptors are never queued: the call is carried out when the client has read."""
    names = fill(store)
    client, other = connect(), connect()
    other.stash("x", store.memfd(b"data"))
    client.send(encode("List") + encode("Take", {"names": ["x"]}))
    wait_for(lambda: has_stopped(client), what="a full socket")
    store.holds()
    change()

    assert "x" in names_in(other.call("List"))
    assert [*names, "x"] == names_in(client.reply())
    client.reply()
    assert b"data" == os.pread(client.received[0], 9, 0)
    assert names == names_in(other.call("List"))


def test_calls_that_were_sent_meanwhile(store: Succession, connect: Connect, change: Change) -> None:
    """Each is answered once."""
    client = connect()
    client.send(encode("MakeBox", {"name": "a"}) * 20)
    change()
    answers = []
    for _ in range(20):
        try:
            answers.append("made" if "id" in client.reply() else "?")
        except ErrorReply as error:
            answers.append(error.identifier)

    assert ["made"] + ["EntryExists"] * 19 == answers


def test_a_client_that_has_hung_up(store: Succession, connect: Connect, change: Change) -> None:
    """It is let go of by whoever serves."""
    client = connect()
    client.call("List")
    client.close()
    change()

    store.wait_until_holds(connections=0)


def test_the_last_words_to_who_reads_late(store: Succession, connect: Connect, change: Change) -> None:
    """What broke the protocol is told behind what is queued, and then the connection ends."""
    names = fill(store)
    client = connect()
    client.send(encode("List") + b"no call\0")
    wait_for(lambda: has_stopped(client), what="a full socket")
    store.holds()
    change()

    assert names == names_in(client.reply())
    with pytest.raises(ErrorReply, match="no call"):
        client.reply()
    assert client.ends()


def test_nobody_has_descriptors_too_many(store: Succession, connect: Connect) -> None:
    """The server that takes over closes what it has no use for."""
    store.succeed()
    client = connect()
    client.call("List")
    before = store.holds()["descriptors"]
    for _ in range(2):
        store.succeed()
        store.wait_until_holds(connections=1)
    # One for the line to the one before, until that has ended.
    wait_for(lambda: store.holds()["descriptors"] <= before, what=f"{before} descriptors")
