"""What goes in comes out: exactly the open files, under the names they were given, all or none."""

import fcntl
import os

import pytest

from fdstorefs.core.limits import Limits
from tests.mount.varlink.conftest import Connect, Serve, open_descriptors
from tests.mount.varlink.raw_client import ErrorReply, RawClient
from tests.mount.varlink.served_store import ServedStore


def named(*names: str) -> list[dict[str, object]]:
    """Names for the descriptors of a message, in their order."""
    return [{"name": name, "fileDescriptor": index} for index, name in enumerate(names)]


def test_the_very_open_file_comes_back(client: RawClient, some_file: int) -> None:
    """A retrieved descriptor shares its offset with the one that was stashed."""
    os.write(some_file, b"hello")
    client.stash("a", some_file)
    (copy,) = client.retrieve("a")
    os.lseek(copy, 2, os.SEEK_SET)

    assert os.lseek(some_file, 0, os.SEEK_CUR) == 2


def test_many_descriptors_travel_in_one_message(client: RawClient) -> None:
    """253 descriptors go in with one call and come out with one call, in order."""
    names = [f"e{number}" for number in range(253)]
    files = [os.memfd_create(name) for name in names]
    for number, file in enumerate(files):
        os.write(file, str(number).encode())
    client.call("Stash", {"entries": named(*names)}, files)
    copies = client.retrieve(*reversed(names))
    contents = [os.pread(copy, 8, 0) for copy in copies]
    for file in files:
        os.close(file)

    assert contents == [str(number).encode() for number in reversed(range(253))]


def test_an_index_may_be_used_twice(client: RawClient, some_file: int) -> None:
    """One descriptor under two names is one open file."""
    entries = [{"name": "a", "fileDescriptor": 0}, {"name": "b", "fileDescriptor": 0}]
    client.call("Stash", {"entries": entries}, [some_file])
    records = client.call("List", {"details": True})["entries"]

    assert len({record["file"] for record in records}) == 1


def test_the_same_open_file_twice_in_a_refused_call(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """Two descriptors of one open file, accepted before the third is refused, are let go of once."""
    before = open_descriptors()
    with pytest.raises(ErrorReply) as refused:
        client.call(
            "Stash", {"entries": named("a", "b", "c")}, [some_file, some_file, client.socket.fileno()]
        )
    served.descriptors.drain(10)

    assert refused.value.identifier == "Loop"
    assert refused.value.parameters["name"] == "c"
    assert client.call("List")["entries"] == []
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("parameters", "identifier"),
    [
        ({"entries": named("good", "bad/..")}, "InvalidName"),
        ({"entries": named("good", "missing/box")}, "NoSuchEntry"),
        ({"entries": named("good", "taken")}, "EntryExists"),
        ({"entries": named("good", "good")}, "InvalidArgument"),
        ({"entries": named("good", "/good")}, "InvalidArgument"),
        ({"entries": [*named("good"), {"name": "other", "fileDescriptor": 2}]}, "BadDescriptor"),
        ({"entries": [*named("good"), {"name": "other", "fileDescriptor": -1}]}, "BadDescriptor"),
        ({"entries": [*named("good"), {"name": "other", "fileDescriptor": 10**15}]}, "BadDescriptor"),
        ({"entries": named("good"), "mode": 0o10000}, "InvalidArgument"),
        ({"entries": named("good"), "mode": -1}, "InvalidArgument"),
        ({"entries": named("good"), "label": "x" * 256}, "InvalidArgument"),
        ({"entries": named("good", "x" * 256)}, "NameTooLong"),
        ({"entries": named("good", "\ud800")}, "InvalidName"),
    ],
)
def test_a_stash_that_is_refused_changes_nothing(
    served: ServedStore, client: RawClient, some_file: int, parameters: dict[str, object], identifier: str
) -> None:
    """Where one name or index is wrong, none is stored, and every descriptor is closed."""
    client.stash("taken", some_file)
    before = open_descriptors()
    with pytest.raises(ErrorReply) as refused:
        client.call("Stash", parameters, [some_file, some_file])
    served.descriptors.drain(10)

    assert refused.value.identifier == identifier
    assert [entry["name"] for entry in client.call("List")["entries"]] == ["taken"]
    assert open_descriptors() == before


def test_a_limit_counts_for_the_whole_call(start: Serve, some_file: int) -> None:
    """Two names that fit one by one and not together are both refused."""
    served = start(limits=Limits(entries=1))
    client = RawClient(served.path)
    with pytest.raises(ErrorReply) as refused:
        client.call("Stash", {"entries": named("a", "b")}, [some_file, some_file])
    left = client.call("List")["entries"]
    client.close()

    assert refused.value.identifier == "QuotaExceeded"
    assert left == []


def test_replace_must_be_asked_for(client: RawClient, some_file: int) -> None:
    """A full entry is replaced only with `replace`."""
    other = os.memfd_create("other")
    client.stash("a", some_file)
    with pytest.raises(ErrorReply) as refused:
        client.stash("a", other)
    client.stash("a", other, replace=True)
    os.close(other)
    (copy,) = client.retrieve("a")

    assert refused.value.identifier == "EntryExists"
    assert os.readlink(f"/proc/self/fd/{copy}").startswith("/memfd:other")


def test_descriptors_that_no_entry_names_are_closed(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """A client may send more than it stashes; the rest is closed."""
    client.stash("a", some_file)
    before = open_descriptors()
    client.call("Stash", {"entries": named("b")}, [some_file, some_file, some_file])
    served.descriptors.drain(10)

    # `b` is the open file of `a`, and the store keeps one descriptor of each
    assert open_descriptors() == before


def test_descriptors_with_a_call_that_takes_none_are_refused(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """They are closed and the client is told."""
    before = open_descriptors()
    with pytest.raises(ErrorReply) as refused:
        client.call("List", {}, [some_file])
    served.descriptors.drain(10)

    assert refused.value.identifier == "InvalidArgument"
    assert open_descriptors() == before


def test_received_descriptors_are_not_inherited(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """What the store keeps is close-on-exec."""
    client.stash("a", some_file)
    flags = served.ask(
        lambda: [
            fcntl.fcntl(node.file.descriptor, fcntl.F_GETFD)
            for node in served.store.tree.nodes.values()
            if not node.is_box and node.file is not None  # type: ignore[union-attr]  # no box, so an entry
        ]
    )

    assert flags == [fcntl.FD_CLOEXEC]


def test_retrieve_is_all_or_none(client: RawClient, some_file: int) -> None:
    """One name that cannot be had, and no descriptor comes."""
    client.stash("a", some_file)
    with pytest.raises(ErrorReply) as refused:
        client.retrieve("a", "b")

    assert refused.value.identifier == "NoSuchEntry"
    assert refused.value.parameters["name"] == "b"
    assert client.received == []


def test_no_names_bring_nothing(client: RawClient) -> None:
    """An empty list is a list."""
    assert client.retrieve() == []


def test_more_than_253_names_are_refused(client: RawClient) -> None:
    """A message cannot carry more descriptors."""
    with pytest.raises(ErrorReply) as refused:
        client.retrieve(*["a"] * 254)

    assert refused.value.identifier == "InvalidArgument"


def test_take_removes_what_it_delivers(connect: Connect, some_file: int) -> None:
    """What one client takes is in its hands, and gone for the other."""
    one, other = connect(), connect()
    one.stash("a", some_file)
    (copy,) = other.retrieve("a", method="Take")
    with pytest.raises(ErrorReply) as refused:
        one.retrieve("a")

    assert os.readlink(f"/proc/self/fd/{copy}") == os.readlink(f"/proc/self/fd/{some_file}")
    assert refused.value.identifier == "NoSuchEntry"


def test_take_is_all_or_none(client: RawClient, some_file: int) -> None:
    """One name that cannot be had, and everything stays."""
    client.stash("a", some_file)
    with pytest.raises(ErrorReply):
        client.retrieve("a", "b", method="Take")

    assert len(client.retrieve("a")) == 1


def test_discard_is_all_or_none(client: RawClient, some_file: int) -> None:
    """One name that is missing, and everything stays."""
    client.stash("a", some_file)
    with pytest.raises(ErrorReply):
        client.call("Discard", {"names": ["a", "b"]})
    still_there = len(client.retrieve("a"))
    client.call("Discard", {"names": ["a"]})

    assert still_there == 1
    assert client.call("List")["entries"] == []


def test_names_and_boxes(client: RawClient, some_file: int) -> None:
    """Boxes, second names, renaming and sealing, end to end."""
    client.call("MakeBox", {"name": "box", "mode": 0o750})
    client.stash("box/a", some_file)
    client.call("Link", {"from": "box/a", "to": "b"})
    client.call("Rename", {"from": "b", "to": "c"})
    client.call("Seal", {"name": "box"})
    with pytest.raises(ErrorReply) as sealed:
        client.retrieve("box/a")
    client.call("Unseal", {"name": "box"})
    client.call("Discard", {"names": ["box/a", "c"]})
    client.call("RemoveBox", {"name": "box"})

    assert sealed.value.identifier == "Busy"
    assert client.call("List")["entries"] == []
