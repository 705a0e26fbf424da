"""A client that never reads, never finishes or never stops sending costs only itself, and what the limits say."""

import errno
import os
from collections.abc import Sequence
from typing import Any

import pytest

from fdstorefs.server.shares import Most
from fdstorefs.server.varlink import listener
from fdstorefs.server.varlink.connection import RECEIVE_BYTES
from tests.mount.varlink.conftest import Connect, Serve, open_descriptors
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.varlink.served_store import ServedStore
from tests.mount.varlink.test_a_client_that_never_reads import send_until_nothing_more_is_read

ONE_ENTRY = {"entries": [{"name": "x", "fileDescriptor": 0}]}


def kept(served: ServedStore) -> int:
    """Bytes that the server keeps for its clients."""
    return served.ask(lambda: served.server._reception._memory.used)


def held(served: ServedStore) -> int:
    """Descriptors that came with calls that are not whole."""
    return served.ask(lambda: served.server._reception._held.used)


def test_for_who_never_reads_one_reply_is_kept(served: ServedStore, connect: Connect) -> None:
    """However many calls it sends: what it sends is not received while a reply waits."""
    late, other = connect(), connect()
    for number in range(200):
        other.call("MakeBox", {"name": f"e{number}"})
    late.send(encode("List"))
    reply = len(str(late.reply()).encode())
    sent = send_until_nothing_more_is_read(late, encode("List"))

    assert sent > 100
    assert kept(served) <= 2 * reply + RECEIVE_BYTES
    late.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")
    assert 0 == kept(served)


def test_half_a_message_costs_what_was_sent_of_it(
    served: ServedStore, connect: Connect, some_file: int
) -> None:
    """For as long as the connection lasts, bytes and descriptors; then nothing."""
    slow, other = connect(), connect()
    half = encode("Stash", {"entries": [], "label": "x" * 50_000})[:-1]
    slow.send(half, [some_file] * 3)
    while kept(served) < len(half):
        other.call("Status")
    costs = kept(served), held(served)
    slow.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")

    assert (len(half), 3) == costs
    assert (0, 0) == (kept(served), held(served))


def test_many_halves_of_one_user_are_bounded(
    start: Serve, monkeypatch: pytest.MonkeyPatch, some_file: int
) -> None:
    """The one that is too much is told so and ended; the others go on where they were."""
    monkeypatch.setattr(listener, "MEMORY", Most(100_000, 200_000))
    served = start()
    clients = [RawClient(served.path) for _ in range(3)]
    for client in clients:
        client.call("Status")
    half = encode("Stash", ONE_ENTRY | {"label": "x" * 40_000})
    for client in clients[:2]:
        client.send(half[:-1], [some_file])
    while kept(served) < 2 * (len(half) - 1):
        pass
    clients[2].send(half[:-1], [some_file])
    with pytest.raises(ErrorReply) as told:
        clients[2].reply()
    still_kept = kept(served)
    clients[0].send(half[-1:])
    with pytest.raises(ErrorReply) as judged:
        clients[0].reply()
    for client in clients:
        client.close()

    assert ("Overloaded", "InvalidArgument") == (told.value.identifier, judged.value.identifier)
    assert 2 * (len(half) - 1) == still_kept


def padded(method: str, parameters: dict[str, Any] | None = None, **flags: bool) -> bytes:
    """A call that is long for no reason."""
    return encode(method, parameters, **flags)[:-1] + b" " * 40_000 + b"\0"


def test_calls_that_go_on_count_for_what_they_are(start: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch is kept with its call: the one that is too much is told so and ended, the others go on."""
    monkeypatch.setattr(listener, "MEMORY", Most(120_000, 200_000))
    served = start()
    clients = [RawClient(served.path) for _ in range(4)]
    call = padded("Watch", more=True)
    for client in clients[:3]:
        client.send(call)
        assert {"change": "ready"} == client.reply()
    with pytest.raises(ErrorReply) as told:
        clients[2].reply()
    has_ended = clients[2].ends()
    clients[3].call("MakeBox", {"name": "box"})
    changes = [client.reply()["change"] for client in clients[:2]]
    still_kept = kept(served)
    for client in clients[:3]:
        client.close()
    while served.ask(lambda: served.server.connections) > 1:
        clients[3].call("Status")
    left = kept(served)
    clients[3].close()

    assert ("Overloaded", True) == (told.value.identifier, has_ended)
    assert (["created"] * 2, 2 * (len(call) - 1), 0) == (changes, still_kept, left)


def test_a_call_that_waits_for_its_client_to_read_counts(
    served: ServedStore, connect: Connect, some_file: int
) -> None:
    """It is received, and not carried out; then it costs nothing any more."""
    late, other = connect(), connect()
    other.stash("x", some_file)
    names = {"names": ["x"] * 200}
    late.send(encode("Retrieve", names))
    call = padded("Retrieve", names)
    late.send(call)
    while kept(served) < len(call) - 1:
        other.call("Status")
    costs = kept(served)
    for _ in range(2):
        late.reply()
    late.call("Status")

    assert (len(call) - 1, 0) == (costs, kept(served))


def test_what_waits_in_the_queue_of_a_busy_connection_is_not_the_servers(
    served: ServedStore, connect: Connect, some_file: int
) -> None:
    """A client watches and sends a thousand descriptors: they stay in the kernel, counted against whoever sent them."""
    busy, other = connect(), connect()
    busy.send(encode("Watch", more=True))
    busy.reply()
    other.stash("a", some_file)
    other.call("Discard", {"names": ["a"]})
    before = open_descriptors()
    for _ in range(4):
        busy.send(encode("Stash", ONE_ENTRY), [some_file] * 253)
    other.stash("a", some_file)
    other.call("Discard", {"names": ["a"]})
    now = open_descriptors()
    busy.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")

    assert before == now
    assert 0 == held(served)
    assert {"entries": []} == other.call("List")


def refuse_once(served: ServedStore) -> None:
    """Have the kernel refuse the next descriptors to whoever is connected, as it does when too many are under way."""

    def patch() -> None:
        for client in served.server._reception._clients:
            _refuse_next(client.outbox)

    served.ask(patch)


def _refuse_next(outbox: Any) -> None:
    sendmsg = outbox._sendmsg

    def refuse(buffers: Sequence[bytes], ancillary: Sequence[object], flags: int) -> int:
        if not ancillary:
            return int(sendmsg(buffers, ancillary, flags))
        outbox._sendmsg = sendmsg
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    outbox._sendmsg = refuse


@pytest.mark.parametrize("method", ["Retrieve", "Take"])
def test_what_the_kernel_does_not_take_stays_in_the_store(
    served: ServedStore, client: RawClient, some_file: int, method: str
) -> None:
    """Too many references: the call is refused, can be made again, and then has its effect."""
    client.stash("a", some_file)
    refuse_once(served)
    with pytest.raises(ErrorReply) as told:
        client.retrieve("a", method=method)
    there = [entry["name"] for entry in client.call("List")["entries"]]
    (again,) = client.retrieve("a", method=method)

    assert "Overloaded" == told.value.identifier
    assert ["a"] == there
    assert os.fstat(some_file).st_ino == os.fstat(again).st_ino
