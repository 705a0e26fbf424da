"""List, Watch, Describe and Status: what is in the store, and what happens to it."""

import os
import socket
import time
from contextlib import closing

import pytest

from fdstorefs.core.access import Action, Target
from fdstorefs.core.subject import Subject
from fdstorefs.server.varlink import watching
from tests.mount.varlink.conftest import Connect, Serve
from tests.mount.varlink.raw_client import STANDARD, ErrorReply, RawClient, encode
from tests.mount.varlink.served_store import ServedStore


def list_in_parts(client: RawClient, **parameters: object) -> list[list[str]]:
    """The names of each reply of a List with `more`."""
    client.send(encode("List", parameters, more=True))
    parts, more = [], True
    while more:
        reply, more = client.full_reply()
        parts.append([entry["name"] for entry in reply["entries"]])
    return parts


def fill(served: ServedStore, count: int) -> None:
    """Put empty entries into the store."""

    def put() -> None:
        subject = served.context.subjects.subject(os.getpid(), os.geteuid(), os.getegid())
        for number in range(count):
            served.store.create(subject, served.store.root, f"e{number:05}")

    served.ask(put)


def test_a_long_list_comes_in_parts_and_in_order(served: ServedStore, client: RawClient) -> None:
    """15,000 entries come in several replies with `more`, and in one without."""
    fill(served, 15_000)
    parts = list_in_parts(client)
    whole = [entry["name"] for entry in client.call("List")["entries"]]

    assert len(parts) > 10
    assert [name for part in parts for name in part] == whole
    assert whole == [f"e{number:05}" for number in range(15_000)]


def test_others_are_served_while_a_long_list_is_made(served: ServedStore, connect: Connect) -> None:
    """Calls of another client are answered between the parts."""
    fill(served, 15_000)
    lister, other = connect(), connect()
    lister.send(encode("List"))
    served_meanwhile = 0
    lister.socket.setblocking(False)
    while True:
        other.call("Status")
        try:
            lister.socket.recv(1, socket.MSG_PEEK)
            break
        except BlockingIOError:
            served_meanwhile += 1
    lister.socket.settimeout(20)

    assert served_meanwhile > 0
    assert len(lister.reply()["entries"]) == 15_000


def test_a_pattern_selects(client: RawClient, some_file: int) -> None:
    """`*` stays within a component, `**` does not."""
    client.call("MakeBox", {"name": "box"})
    for name in ("a", "b", "box/a"):
        client.stash(name, some_file)

    assert list_in_parts(client, pattern="*") == [["a", "b", "box"]]
    assert list_in_parts(client, pattern="**/a") == [["a", "box/a"]]
    assert list_in_parts(client, pattern="box/**") == [["box/a"]]


def test_a_bad_pattern_is_explained(client: RawClient) -> None:
    """The message says where, the hint what to do."""
    with pytest.raises(ErrorReply) as told:
        client.call("List", {"pattern": "a[b"})

    assert told.value.identifier == "InvalidArgument"
    assert told.value.parameters["message"] == "pattern `a[b`: `[` is never closed (at character 2)"
    assert told.value.parameters["hint"] == "`[[]` is the bracket itself"


def test_names_that_are_not_utf8_come_back_as_they_went(client: RawClient, some_file: int) -> None:
    """Bytes that are no UTF-8 travel as lone surrogates."""
    client.stash("caf\udce9", some_file)

    assert [entry["name"] for entry in client.call("List")["entries"]] == ["caf\udce9"]
    assert len(client.retrieve("caf\udce9")) == 1


def test_watch_tells_every_change(connect: Connect, some_file: int) -> None:
    """A watcher hears what happens, in order, with the record as it was then."""
    watcher, other = connect(), connect()
    watcher.send(encode("Watch", more=True))
    ready = watcher.full_reply()
    other.stash("a", some_file)
    other.stash("a", some_file, replace=True)
    other.call("Rename", {"from": "a", "to": "b"})
    other.call("Discard", {"names": ["b"]})
    heard = [watcher.reply() for _ in range(4)]

    assert ready == ({"change": "ready"}, True)
    assert [(event["change"], event["entry"]["name"]) for event in heard] == [
        ("stashed", "a"),
        ("replaced", "a"),
        ("renamed", "b"),
        ("discarded", "b"),
    ]
    assert heard[2]["former"] == "a"


def test_watch_with_a_pattern_hears_arrivals_and_departures(connect: Connect, some_file: int) -> None:
    """A rename concerns whoever watches the old name or the new one."""
    watcher, other = connect(), connect()
    watcher.send(encode("Watch", {"pattern": "a*"}, more=True))
    watcher.reply()
    other.stash("b", some_file)
    other.call("Rename", {"from": "b", "to": "ab"})
    other.call("Rename", {"from": "ab", "to": "c"})
    heard = [watcher.reply() for _ in range(2)]

    assert [(event["entry"]["name"], event["former"]) for event in heard] == [("ab", "b"), ("c", "ab")]


def test_a_user_may_have_so_many_watches(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, and its connection goes on; a watch that ends makes room."""
    monkeypatch.setattr(watching, "MOST_WATCHES", 2)
    watchers = [connect(), connect()]
    for watcher in watchers:
        watcher.send(encode("Watch", more=True))
        watcher.reply()
    third = connect()
    third.send(encode("Watch", more=True))
    with pytest.raises(ErrorReply) as told:
        third.reply()
    watchers[0].close()
    while third.call("Status") and not (again := _watch(third)):
        pass

    assert told.value.identifier == "Overloaded"
    assert again == {"change": "ready"}


def _watch(client: RawClient) -> dict[str, object] | None:
    client.send(encode("Watch", more=True))
    try:
        return client.reply()
    except ErrorReply:
        return None


def test_what_is_not_watched_for_is_not_judged(start: Serve, some_file: int) -> None:
    """The pattern comes first: a verdict takes longer."""
    judged = []

    def note(subject: Subject, action: Action, target: Target) -> None:
        judged.append((str(action), target.path))

    served = start(authority=note)
    with closing(RawClient(served.path)) as watcher, closing(RawClient(served.path)) as other:
        watcher.send(encode("Watch", {"pattern": "wanted"}, more=True))
        watcher.reply()
        other.stash("other", some_file)
        other.stash("wanted", some_file)
        watcher.reply()

    assert ("list", "wanted") in judged
    assert ("list", "other") not in judged


def test_a_watcher_that_leaves_is_forgotten(served: ServedStore, connect: Connect, some_file: int) -> None:
    """Its subscription goes with it."""
    watcher, other = connect(), connect()
    watcher.send(encode("Watch", more=True))
    watcher.reply()
    watcher.close()
    while served.ask(lambda: served.server.connections) > 1:
        other.call("Status")

    assert served.ask(lambda: len(served.store.events._listeners)) == 0


def test_describe_tells_what_the_kernel_knows(client: RawClient) -> None:
    """A listening socket is described as one; all details are strings."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        client.stash("listen", listening.fileno())
    reply = client.call("Describe", {"name": "listen"})

    assert str(port) in reply["entry"]["description"]
    assert reply["details"]["socket_state"] == "listening"
    assert all(isinstance(value, str) for value in reply["details"].values())


def test_describe_of_a_box_and_of_nothing(client: RawClient) -> None:
    """A box has no details; a name that is not there is an error."""
    client.call("MakeBox", {"name": "box"})
    with pytest.raises(ErrorReply) as missing:
        client.call("Describe", {"name": "nothing"})

    assert client.call("Describe", {"name": "box"})["entry"]["kind"] == "box"
    assert missing.value.identifier == "NoSuchEntry"


def test_the_file_stays_open_while_it_is_described(connect: Connect, some_file: int) -> None:
    """An entry that is discarded in the middle of a Describe is described to the end."""
    one, other = connect(), connect()
    for _ in range(50):
        one.stash("a", some_file)
        one.send(encode("Describe", {"name": "a"}))
        other.call("Status")
        other.call("Discard", {"names": ["a"]})

        assert one.reply()["entry"]["name"] == "a"


def test_the_service_introduces_itself(client: RawClient) -> None:
    """GetInfo and GetInterfaceDescription, as generic Varlink tools call them."""
    info = client.call(f"{STANDARD}.GetInfo")
    ours = client.call(f"{STANDARD}.GetInterfaceDescription", {"interface": "io.fdstorefs.Store"})
    standard = client.call(f"{STANDARD}.GetInterfaceDescription", {"interface": STANDARD})
    with pytest.raises(ErrorReply) as unknown:
        client.call(f"{STANDARD}.GetInterfaceDescription", {"interface": "io.example"})

    assert info["interfaces"] == [STANDARD, "io.fdstorefs.Store"]
    assert "interface io.fdstorefs.Store" in ours["description"]
    assert "interface org.varlink.service" in standard["description"]
    assert unknown.value.identifier == f"{STANDARD}.InterfaceNotFound"


def test_status_is_the_instances(client: RawClient, served: ServedStore) -> None:
    """Status is what the instance says."""
    assert client.call("Status") == served.status()


def test_an_idle_server_sleeps(served: ServedStore, client: RawClient) -> None:
    """With nothing to do the loop is not woken, a watcher and a half-sent message notwithstanding."""
    client.send(encode("Watch", more=True))
    client.reply()
    half = RawClient(served.path)
    half.send(b'{"method"')
    served.ask(lambda: None)
    thread = served.ask(lambda: os.stat("/proc/thread-self").st_ino and os.readlink("/proc/thread-self"))
    deadline = time.monotonic() + 20
    while (before := _wake_ups(thread)) != _wake_ups_after_a_while(thread):
        assert time.monotonic() < deadline, "the loop is woken all the time"
    half.close()

    assert before > 0


def _wake_ups(thread: str) -> int:
    with open(f"/proc/{thread}/status") as status:
        return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)


def _wake_ups_after_a_while(thread: str) -> int:
    time.sleep(0.3)
    return _wake_ups(thread)
