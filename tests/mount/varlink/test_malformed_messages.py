"""Whatever a client sends costs that client only: it is told, or disconnected, and the store goes on."""

import os
import socket

import pytest

from fdstorefs.interface import MAX_MESSAGE
from tests.mount.varlink.conftest import Connect, open_descriptors
from tests.mount.varlink.raw_client import STANDARD, ErrorReply, RawClient, encode, rights
from tests.mount.varlink.served_store import ServedStore

NOT_VARLINK = [
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"1",
    b"{}",
    b'{"method":1}',
    b'{"method":null}',
    b'{"method":"a.b","method":"a.b"}',
    b'{"method":"a.b","parameters":{"x":NaN}}',
    b'{"method":"a.b","parameters":{"x":-Infinity}}',
    b'{"method":"a.b","parameters":{"x":' + b"1" * 5000 + b"}}",
    b'{"method":"a.b"} x',
    b'{"method":"a.b"',
    b"[" * 100_000,
    b'{"parameters":' * 50_000,
    b'"' + b"\\" * 1001 + b'"',
]


@pytest.mark.parametrize("junk", NOT_VARLINK, ids=lambda junk: repr(junk[:24]))
def test_what_is_no_call_ends_the_connection(connect: Connect, junk: bytes) -> None:
    """The client is told what is wrong, then disconnected; another is served as before."""
    client, other = connect(), connect()
    client.send(junk + b"\0")
    with pytest.raises(ErrorReply) as told:
        client.reply()

    assert told.value.identifier == "InvalidArgument"
    assert client.ends()
    assert other.call("List") == {"entries": []}


@pytest.mark.parametrize(
    ("call", "identifier", "parameters"),
    [
        (encode("Nothing"), "MethodNotFound", {"method": "io.fdstorefs.Store.Nothing"}),
        (encode("io.example.Nothing"), "InterfaceNotFound", {"interface": "io.example"}),
        (encode("."), "InterfaceNotFound", {"interface": ""}),
        (encode("Retrieve"), "InvalidParameter", {"parameter": "names"}),
        (encode("Retrieve", {"names": None}), "InvalidParameter", {"parameter": "names"}),
        (encode("Retrieve", {"names": "a"}), "InvalidParameter", {"parameter": "names"}),
        (encode("Retrieve", {"names": ["a", 1]}), "InvalidParameter", {"parameter": "names"}),
        (encode("MakeBox", {"name": "a", "mode": 10**400}), "InvalidParameter", {"parameter": "mode"}),
        (
            encode("Stash", {"entries": [{"name": "a", "fileDescriptor": -(10**400)}]}),
            "InvalidParameter",
            {"parameter": "entries"},
        ),
        (encode("Retrieve", {"names": [], "more": 1}), "InvalidParameter", {"parameter": "more"}),
        (encode("Stash", {"entries": [{"name": "a"}]}), "InvalidParameter", {"parameter": "entries"}),
        (encode("Stash", {"entries": [1]}), "InvalidParameter", {"parameter": "entries"}),
        (
            encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0.0}]}),
            "InvalidParameter",
            {"parameter": "entries"},
        ),
        (
            encode("Stash", {"entries": [{"name": "a", "fileDescriptor": True}]}),
            "InvalidParameter",
            {"parameter": "entries"},
        ),
        (encode("Stash", {"entries": [], "replace": 1}), "InvalidParameter", {"parameter": "replace"}),
        (encode("Stash", {"entries": [], "mode": "0600"}), "InvalidParameter", {"parameter": "mode"}),
        (encode("Stash", {"entries": [], "mode": 1e400}), None, None),
        (encode("Stash", {"entries": [], "label": 7}), "InvalidParameter", {"parameter": "label"}),
        (encode("List", {"pattern": 7}), "InvalidParameter", {"parameter": "pattern"}),
        (encode("List", {"x": 7}), "InvalidParameter", {"parameter": "x"}),
        (encode("Watch"), "ExpectedMore", {}),
        (b'{"method":"a.b","parameters":[]}\0', "InvalidParameter", {"parameter": "parameters"}),
        (b'{"method":"a.b","more":1}\0', "InvalidParameter", {"parameter": "more"}),
        (b'{"method":"a.b","upgrade":true}\0', "InvalidParameter", {"parameter": "upgrade"}),
        (b'{"method":"a.b","surprise":true}\0', "InvalidParameter", {"parameter": "surprise"}),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(
    client: RawClient, call: bytes, identifier: str | None, parameters: dict[str, str] | None
) -> None:
    """Wrong methods, types and flags have standard errors, and the connection goes on."""
    if identifier is None:
        call = call.replace(b"Infinity", b"1e400")
        identifier, parameters = "InvalidParameter", {"parameter": "mode"}
    client.send(call)
    with pytest.raises(ErrorReply) as told:
        client.reply()

    assert told.value.identifier == f"{STANDARD}.{identifier}"
    assert told.value.parameters == parameters
    assert client.call("List") == {"entries": []}


def test_white_space_is_allowed(client: RawClient) -> None:
    """JSON is JSON, however it is written."""
    client.send(b' {\n "method" : "io.fdstorefs.Store.List" }\t \0')

    assert client.reply() == {"entries": []}


def test_a_message_may_be_as_long_as_allowed(client: RawClient) -> None:
    """The longest message is served."""
    call = encode("List")[:-1].ljust(MAX_MESSAGE) + b"\0"
    client.send(call)

    assert client.reply() == {"entries": []}


def test_a_message_that_is_too_long_ends_the_connection(connect: Connect) -> None:
    """One byte more is refused, and nobody else notices."""
    client, other = connect(), connect()
    client.send(encode("List")[:-1].ljust(MAX_MESSAGE + 1))
    with pytest.raises(ErrorReply) as told:
        client.reply()

    assert told.value.identifier == "InvalidArgument"
    assert client.ends()
    assert other.call("List") == {"entries": []}


def test_one_byte_at_a_time(served: ServedStore, client: RawClient, some_file: int) -> None:
    """A call that trickles in is a call, and its descriptor is the one that came with its first byte."""
    call = encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0}]})
    client.send(call[:1], [some_file])
    for byte in call[1:]:
        client.send(bytes([byte]))
        served.ask(lambda: None)

    assert len(client.reply()["ids"]) == 1


def test_pipelined_calls_are_answered_in_order(client: RawClient, some_file: int) -> None:
    """Many calls in one packet have their replies in the same order."""
    client.stash("a", some_file)
    client.send(encode("Retrieve", {"names": ["a"]}) + encode("Nothing") + encode("Status") * 50)
    first = client.reply()
    with pytest.raises(ErrorReply):
        client.reply()
    rest = [client.reply() for _ in range(50)]

    assert first == {"entries": [{"name": "a", "fileDescriptor": 0}]}
    assert [reply["mount"] for reply in rest] == ["/nowhere"] * 50


def test_descriptors_after_a_pipelined_call_belong_to_the_later_one(
    client: RawClient, some_file: int
) -> None:
    """A call without descriptors and one with some, both waiting to be read, keep them apart."""
    client.send(encode("List"))
    client.send(encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0}]}), [some_file])
    client.send(encode("List"))

    assert client.reply() == {"entries": []}
    assert len(client.reply()["ids"]) == 1
    assert len(client.reply()["entries"]) == 1


def test_calls_without_reply_are_carried_out(client: RawClient, some_file: int) -> None:
    """`oneway` means no reply, not even an error, and the next call has its own."""
    call = encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0}]}, oneway=True)
    client.send(call, [some_file])
    client.send(encode("Nothing", oneway=True))
    client.send(encode("Take", {"names": ["a"]}, oneway=True))

    assert [entry["name"] for entry in client.call("List")["entries"]] == ["a"]


def test_calls_without_reply_outlive_their_client(
    served: ServedStore, connect: Connect, some_file: int
) -> None:
    """What was sent before the client closed the connection is carried out to the last."""
    client = connect()
    for number in range(40):
        call = encode("Stash", {"entries": [{"name": f"e{number}", "fileDescriptor": 0}]}, oneway=True)
        client.send(call, [some_file])
    client.close()
    other = connect()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")

    assert len(other.call("List")["entries"]) == 40


def test_a_client_may_stop_sending_and_still_be_answered(client: RawClient) -> None:
    """A half-closed connection has its reply, then it ends."""
    client.send(encode("List"))
    client.socket.shutdown(socket.SHUT_WR)

    assert client.reply() == {"entries": []}
    assert client.ends()


@pytest.mark.parametrize("ending", ["close", "shutdown"])
def test_a_half_sent_message_leaves_nothing_behind(
    served: ServedStore, connect: Connect, some_file: int, ending: str
) -> None:
    """Descriptors that came with half a message are closed when the client goes."""
    other = connect()
    other.call("List")
    before = open_descriptors()
    client = connect()
    client.send(encode("Stash")[:10], [some_file] * 200)
    while served.ask(lambda: served.server._reception._held.used) < 200:
        other.call("List")
    if ending == "close":
        client.socket.close()
    else:
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ends()
        client.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("List")
    served.descriptors.drain(10)

    assert open_descriptors() == before


def test_too_many_descriptors_for_one_message(served: ServedStore, connect: Connect, some_file: int) -> None:
    """Descriptors can be added with every byte; beyond 253 the connection ends and all are closed."""
    client, other = connect(), connect()
    other.call("List")
    before = open_descriptors()
    with pytest.raises(ErrorReply) as told:
        for _ in range(1000):
            client.send(b" ", [some_file] * 200)
            served.ask(lambda: None)
            client.socket.setblocking(False)
            try:
                client.reply()
            except BlockingIOError:
                client.socket.setblocking(True)
    # It tells why before it closes: once it answers again it has done so.
    served.ask(lambda: None)
    served.descriptors.drain(10)

    assert told.value.identifier == "InvalidArgument"
    assert "253" in told.value.parameters["message"]
    assert open_descriptors() == before - 1


def test_one_user_cannot_pile_up_descriptors_in_unfinished_messages(
    served: ServedStore, connect: Connect, some_file: int
) -> None:
    """Half messages with 253 descriptors each are refused before they use up the server's table."""
    other = connect()
    clients = [connect() for _ in range(12)]
    refused = 0
    for client in clients:
        client.send(b" ", [some_file] * 253)
        served.ask(lambda: None)
    held = served.ask(lambda: served.server._reception._held.used)
    for client in clients:
        client.socket.setblocking(False)
        try:
            client.reply()
        except ErrorReply as error:
            refused += error.identifier == "Overloaded"
        except BlockingIOError:
            continue

    assert held <= 1024
    assert refused >= 7
    assert other.call("List") == {"entries": []}


def test_lost_descriptors_are_noticed(served: ServedStore, client: RawClient, some_file: int) -> None:
    """Where the server's descriptor table is full, nothing is stored and the client is told."""
    import resource

    client.call("List")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    call = encode("Stash", {"entries": [{"name": "a", "fileDescriptor": 0}]})
    copies = [os.dup(some_file) for _ in range(20)]
    os.close(copies.pop())
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(copies) + 3, hard))
    try:
        client.socket.sendmsg([call], rights([some_file] * 30))
        with pytest.raises(ErrorReply) as told:
            client.reply()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for copy in copies:
            os.close(copy)
    served.descriptors.drain(10)

    assert told.value.identifier == "QuotaExceeded"
    assert client.call("List") == {"entries": []}
