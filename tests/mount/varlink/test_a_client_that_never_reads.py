"""A client that asks and never reads costs only itself, and loses nothing that it could not have received."""

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from fdstorefs.server.varlink.flight import PER_CONNECTION
from tests.mount.varlink.conftest import Connect, Serve
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.varlink.served_store import ServedStore


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process, client and server in one, have as many descriptors as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def send_until_nothing_more_is_read(client: RawClient, data: bytes) -> int:
    """Send the same bytes over and over until the kernel takes no more; returns how many times."""
    client.socket.settimeout(0.5)
    count = 0
    try:
        while True:
            client.socket.sendall(data)
            count += 1
    except TimeoutError:
        return count
    finally:
        client.socket.settimeout(20)


def in_flight(served: ServedStore) -> int:
    """Descriptors under way, as the server counts them."""
    return served.ask(
        lambda: sum(client.outbox.flight._count for client in served.server._reception._clients)
    )


def test_replies_wait_and_all_come(connect: Connect) -> None:
    """A client that reads late gets every reply, in order; meanwhile others are served."""
    late, other = connect(), connect()
    for number in range(200):
        other.call("MakeBox", {"name": f"e{number}"})
    whole = other.call("List")
    count = send_until_nothing_more_is_read(late, encode("List"))
    served_meanwhile = other.call("List")
    late_replies = [late.reply() for _ in range(count)]

    assert served_meanwhile == whole
    assert late_replies == [whole] * count


def test_descriptors_under_way_are_bounded(
    many_descriptors: None, served: ServedStore, connect: Connect, some_file: int
) -> None:
    """No more than a few hundred are under way to one client; the rest comes when it reads."""
    late, other = connect(), connect()
    other.stash("a", some_file)
    names = ["a"] * 100
    for _ in range(20):
        late.send(encode("Retrieve", {"names": names}))
    other.retrieve("a")
    bound = in_flight(served)
    counts = []
    for _ in range(20):
        counts.append(len(late.reply()["entries"]))
        late.drop()

    assert bound <= PER_CONNECTION + 1
    assert counts == [100] * 20


def test_one_user_cannot_use_up_what_the_kernel_lets_be_under_way(
    many_descriptors: None, start: Serve, some_file: int
) -> None:
    """Above the user's share a call is refused with Overloaded, and works once the others have read."""
    served = start(limit=16 * 253)
    clients = [RawClient(served.path) for _ in range(4)]
    clients[0].stash("a", some_file)
    for client in clients[:3]:
        client.send(encode("Retrieve", {"names": ["a"] * 100}))
        served.ask(lambda: None)
    with pytest.raises(ErrorReply) as refused:
        clients[3].retrieve(*["a"] * 100)
    for client in clients[:2]:
        client.reply()
        client.drop()
    after = len(clients[3].retrieve(*["a"] * 100))
    for client in clients:
        client.close()

    assert refused.value.identifier == "Overloaded"
    assert after == 100


def test_what_cannot_be_sent_is_not_taken(
    many_descriptors: None, served: ServedStore, connect: Connect, some_file: int
) -> None:
    """A Take that waits for its client to read leaves the entry in the store, and loses to who comes first."""
    late, other = connect(), connect()
    other.stash("filler", some_file)
    other.stash("precious", some_file)
    late.send(encode("Retrieve", {"names": ["filler"] * 253}) * 3)
    late.send(encode("Take", {"names": ["precious"]}))
    served.ask(lambda: None)
    names_meanwhile = [entry["name"] for entry in other.call("List")["entries"]]
    (taken,) = other.retrieve("precious", method="Take")
    for _ in range(3):
        late.reply()
        late.drop()
    with pytest.raises(ErrorReply) as lost:
        late.reply()

    assert names_meanwhile == ["filler", "precious"]
    assert os.fstat(taken).st_ino == os.fstat(some_file).st_ino
    assert lost.value.identifier == "NoSuchEntry"


def test_a_take_whose_client_is_gone_takes_nothing(
    many_descriptors: None, served: ServedStore, connect: Connect, some_file: int
) -> None:
    """If the client ends before the reply can be sent, the entry stays."""
    late, other = connect(), connect()
    other.stash("filler", some_file)
    other.stash("precious", some_file)
    late.send(encode("Retrieve", {"names": ["filler"] * 253}) * 3)
    late.send(encode("Take", {"names": ["precious"]}))
    other.call("Status")
    late.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")

    assert [entry["name"] for entry in other.call("List")["entries"]] == ["filler", "precious"]


def test_a_full_socket_delays_a_take(
    many_descriptors: None, start: Serve, some_file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the kernel has no room for the reply, the call is carried out anew once there is some."""
    served = start()
    late, other = RawClient(served.path), RawClient(served.path)
    other.stash("precious", some_file)
    served.ask(lambda: [_shrink(client._socket) for client in served.server._reception._clients])
    long_name = "x" * 200
    boxes = "/".join([long_name] * 15)
    for depth in range(1, 16):
        other.call("MakeBox", {"name": "/".join([long_name] * depth)})
    other.stash(f"{boxes}/filler", some_file)
    late.send(encode("Retrieve", {"names": [f"{boxes}/filler"]}) * 3)
    late.send(encode("Take", {"names": ["precious"]}))
    served.ask(lambda: None)
    other.call("Status")
    names_meanwhile = [entry["name"] for entry in other.call("List", {"pattern": "*"})["entries"]]
    for _ in range(3):
        late.reply()
    taken = late.reply()["entries"]
    names_after = [entry["name"] for entry in other.call("List", {"pattern": "*"})["entries"]]
    late.close()
    other.close()

    assert "precious" in names_meanwhile
    assert taken == [{"name": "precious", "fileDescriptor": 0}]
    assert "precious" not in names_after


def _shrink(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def test_a_watcher_that_does_not_read_is_told_and_dropped(connect: Connect, some_file: int) -> None:
    """Its queue is bounded; after Overloaded the connection is as good as before."""
    watcher, other = connect(), connect()
    watcher.send(encode("Watch", more=True))
    ready = watcher.reply()
    for _ in range(3000):
        other.stash("a", some_file)
        other.call("Discard", {"names": ["a"]})
    with pytest.raises(ErrorReply) as told:
        while True:
            watcher.reply()

    assert ready == {"change": "ready"}
    assert told.value.identifier == "Overloaded"
    assert watcher.call("List") == {"entries": []}
