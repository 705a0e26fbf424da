"""Dump and Restore for clients that do not behave: nobody else waits, and nothing is left behind."""

import os
from collections.abc import Iterator

import pytest

from tests.mount.varlink.conftest import Connect
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.varlink.served_store import ServedStore
from tests.mount.varlink.test_a_client_that_never_reads import many_descriptors
from tests.mount.waiting import wait_for

__all__ = ["many_descriptors"]

MANY = 700
ENTRY = {"kind": "memfd", "uid": 0, "gid": 0, "mode": 0o600}


def fill(client: RawClient, count: int) -> None:
    """So many different open files."""
    for start in range(0, count, 100):
        files = [os.memfd_create("x") for _ in range(min(100, count - start))]
        entries = [{"name": f"e{start + index:04}", "fileDescriptor": index} for index in range(len(files))]
        client.call("Stash", {"entries": entries}, files)
        for each in files:
            os.close(each)


def rest_of(client: RawClient) -> Iterator[str]:
    """The names in the replies that are still to come."""
    continues = True
    while continues:
        parameters, continues = client.full_reply()
        for node in parameters["nodes"]:
            yield from node["names"]


@pytest.mark.usefixtures("many_descriptors")
def test_a_client_that_reads_late_gets_everything(served: ServedStore, connect: Connect) -> None:
    """And others are served meanwhile, descriptors too."""
    late, other = connect(), connect()
    fill(other, MANY)
    late.send(encode("Dump", more=True))
    retrieved = other.call("Retrieve", {"names": ["e0000"]})
    names = list(rest_of(late))

    assert [f"e{number:04}" for number in range(MANY)] == names
    assert MANY == len(late.received)
    assert 1 == len(retrieved["entries"])


@pytest.mark.usefixtures("many_descriptors")
def test_a_client_that_leaves_in_the_middle_costs_nothing(served: ServedStore, connect: Connect) -> None:
    """What was under way is closed by the kernel, and the walk ends."""
    late, other = connect(), connect()
    fill(other, MANY)
    late.send(encode("Dump", more=True))
    late.full_reply()
    late.close()
    names = other.call("List")["entries"]

    assert MANY == len(names)
    wait_for(lambda: not served.ask(lambda: served.store.events.wanted), 20, "the dump to end")


def test_a_restore_that_is_not_finished_leaves_nothing(served: ServedStore, connect: Connect) -> None:
    """It goes with the connection, descriptors and all."""
    client, other = connect(), connect()
    file = os.memfd_create("x")
    nodes = [{"names": ["x"], "file": 1, "fileDescriptor": 0, **ENTRY}]
    client.call("Restore", {"nodes": nodes, "first": True}, [file])
    os.close(file)
    held = served.ask(lambda: (served.context.intake.files, served.context.staged.used))
    there = other.call("List")["entries"]
    client.close()

    assert ((1, 1), []) == (held, there)
    wait_for(lambda: not served.ask(lambda: served.context.intake.files), 20, "it to be thrown away")
    assert 0 == served.ask(lambda: served.context.staged.used)


def test_an_error_throws_away_what_came_before(served: ServedStore, client: RawClient) -> None:
    """The connection goes on, and what goes on with the restore is refused."""
    file = os.memfd_create("x")
    nodes = [{"names": ["x"], "file": 1, "fileDescriptor": 0, **ENTRY}]
    client.call("Restore", {"nodes": nodes, "first": True}, [file])
    os.close(file)
    with pytest.raises(ErrorReply, match="InvalidArgument"):
        client.call("Restore", {"nodes": [{"names": ["x"], **ENTRY, "kind": "empty"}]})
    with pytest.raises(ErrorReply, match="Busy"):
        client.call("Restore", {"nodes": [], "last": True})

    assert (0, []) == (served.ask(lambda: served.context.intake.files), client.call("List")["entries"])


def test_descriptors_that_no_node_has_are_closed(served: ServedStore, client: RawClient) -> None:
    """As those of a Stash that names fewer."""
    file = os.memfd_create("x")
    client.call("Restore", {"nodes": [], "first": True, "last": True}, [file, file])
    os.close(file)

    assert 0 == served.ask(lambda: served.context.intake.files)


def test_a_dump_is_nothing_in_one_reply(client: RawClient) -> None:
    """It takes `more`, and a reply."""
    with pytest.raises(ErrorReply, match="ExpectedMore"):
        client.call("Dump")
