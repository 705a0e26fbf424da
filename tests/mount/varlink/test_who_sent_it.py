"""The sender of a message is whom the kernel names, message by message, never whom the client names."""

import os
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator

import pytest

from fdstorefs.errors import Denied
from fdstorefs.server.budget import budget
from tests.mount.varlink.conftest import Connect
from tests.mount.varlink.other_process import needs_root, run_as, start_as
from tests.mount.varlink.raw_client import ErrorReply, RawClient, encode
from tests.mount.varlink.served_store import ServedStore

OTHER = 1
PRINT_OUTCOME = """
def outcome(ask):
    try:
        return "done" if ask() is not None else "nothing"
    except ErrorReply as error:
        return error.identifier
"""
RETRIEVE = (
    PRINT_OUTCOME
    + """
client = RawClient(sys.argv[1])
print(outcome(lambda: client.retrieve(sys.argv[2])))
"""
)
RETRIEVE_THROUGH_3 = (
    PRINT_OUTCOME
    + """
client = RawClient.__new__(RawClient)
client.socket, client.received, client._pending = socket.socket(fileno=int(sys.argv[1])), [], b""
client.socket.settimeout(20)
print(outcome(lambda: client.retrieve(sys.argv[2])))
"""
)
CONNECT_SEND_AND_END = """
inherited = socket.socket(fileno=int(sys.argv[1]))
inherited.connect(sys.argv[2])
inherited.sendall(encode("Retrieve", {"names": [sys.argv[3]]}))
"""
SEND_THROUGH_3 = """
socket.socket(fileno=int(sys.argv[1])).sendall(sys.argv[2].encode() + b"\\0")
"""
CONNECT_SEND_AND_GROW = """
inherited = socket.socket(fileno=int(sys.argv[1]))
inherited.connect(sys.argv[2])
inherited.sendall(encode("Retrieve", {"names": [sys.argv[3]]}))
os.execv(sys.argv[4], ["cat"])
"""
FORGE = """
client = RawClient(sys.argv[1])
ucred = __import__("struct").pack("=iII", os.getpid(), 0, 0)
try:
    client.socket.sendmsg([encode("List")], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, ucred)])
except PermissionError:
    print("refused by the kernel")
"""


@pytest.fixture
def set_user_id_cat() -> Iterator[str]:
    """A program that waits for input with root's uid, whoever starts it."""
    with tempfile.TemporaryDirectory(prefix="fdstorefs-") as directory:
        os.chmod(directory, 0o755)
        path = shutil.copy("/bin/cat", directory)
        os.chmod(path, 0o4755)
        yield path


@needs_root
def test_another_user_may_not_have_it(served: ServedStore, client: RawClient, some_file: int) -> None:
    """Mode bits hold against another user's process."""
    client.stash("mine", some_file)
    client.stash("everybodys", some_file, mode=0o666)

    assert run_as(OTHER, RETRIEVE, served.path, "mine") == "Denied"
    assert run_as(OTHER, RETRIEVE, served.path, "everybodys") == "done"


@needs_root
def test_a_supplementary_group_counts(served: ServedStore, client: RawClient, some_file: int) -> None:
    """Groups are looked up in the process that connected and asks."""
    client.stash("groups", some_file, mode=0o660)

    assert run_as(OTHER, RETRIEVE, served.path, "groups") == "Denied"
    assert run_as(OTHER, RETRIEVE, served.path, "groups", groups=[0]) == "done"


@needs_root
def test_groups_do_not_count_through_somebody_elses_connection(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """A process that did not connect itself is its uid and gid, and no more."""
    client.stash("groups", some_file, mode=0o660)
    client.stash("everybodys", some_file, mode=0o666)
    handed = RawClient(served.path)
    number = handed.socket.fileno()

    def ask(name: str) -> str:
        return run_as(OTHER, RETRIEVE_THROUGH_3, str(number), name, groups=[0], pass_fds=[number])

    outcomes = ask("groups"), ask("everybodys")
    handed.close()

    assert outcomes == ("Denied", "done")


@needs_root
def test_the_groups_of_a_process_that_has_ended_do_not_count(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """Its pid may be anybody's by now."""
    client.stash("groups", some_file, mode=0o660)
    orphan = socket.socket(socket.AF_UNIX)
    orphan.settimeout(20)
    go_on = threading.Event()
    served.loop.post(lambda: go_on.wait(20) and None)
    number = str(orphan.fileno())
    run_as(OTHER, CONNECT_SEND_AND_END, number, served.path, "groups", groups=[0], pass_fds=[orphan.fileno()])
    go_on.set()
    answer = orphan.recv(4096)
    orphan.close()

    assert b"io.fdstorefs.Store.Denied" in answer


@needs_root
def test_power_gained_after_sending_does_not_count(
    served: ServedStore, client: RawClient, some_file: int, set_user_id_cat: str
) -> None:
    """A process that sends a call and then executes a set-user-ID program has its own rights only."""
    client.stash("mine", some_file)
    orphan = socket.socket(socket.AF_UNIX)
    orphan.settimeout(20)
    go_on = threading.Event()
    served.loop.post(lambda: go_on.wait(20) and None)
    number = orphan.fileno()
    grown = start_as(
        OTHER, CONNECT_SEND_AND_GROW, str(number), served.path, "mine", set_user_id_cat, pass_fds=[number]
    )
    while "cat" not in os.readlink(f"/proc/{grown.pid}/exe"):
        assert grown.poll() is None
    effective = os.stat(f"/proc/{grown.pid}/task").st_uid
    go_on.set()
    answer = orphan.recv(4096)
    orphan.close()
    grown.communicate()

    assert effective == 0
    assert b"io.fdstorefs.Store.Denied" in answer


@needs_root
def test_credentials_that_root_forges_are_the_ones_that_count(
    served: ServedStore, client: RawClient, some_file: int
) -> None:
    """Root may speak for another user, and then has that user's rights only."""
    client.stash("mine", some_file)
    ucred = struct.pack("=iII", os.getpid(), OTHER, OTHER)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, ucred)]
    client.socket.sendmsg([encode("Take", {"names": ["mine"]})], ancillary)
    with pytest.raises(ErrorReply) as refused:
        client.reply()

    assert refused.value.identifier == Denied.identifier


@needs_root
def test_others_cannot_forge_credentials(served: ServedStore) -> None:
    """The kernel does not let them."""
    assert run_as(OTHER, FORGE, served.path) == "refused by the kernel"


@needs_root
def test_a_message_of_two_processes_is_nobodys(served: ServedStore, client: RawClient) -> None:
    """A message whose parts were sent by different processes is refused, and the connection ends."""
    call = encode("List")
    client.send(call[:10])
    served.ask(lambda: None)
    number = client.socket.fileno()
    run_as(OTHER, SEND_THROUGH_3, str(number), call[10:-1].decode(), pass_fds=[number])
    with pytest.raises(ErrorReply) as told:
        client.reply()

    assert told.value.identifier == "InvalidArgument"
    assert "two processes" in told.value.parameters["message"]
    assert client.ends()


def test_the_stasher_is_recorded(client: RawClient, some_file: int) -> None:
    """Who stashed is in the record, as the kernel said it."""
    client.stash("a", some_file)
    stasher = client.call("Describe", {"name": "a"})["entry"]["stasher"]

    assert (stasher["pid"], stasher["uid"], stasher["gid"]) == (os.getpid(), os.getuid(), os.getgid())


def test_a_message_without_credentials_is_refused(served: ServedStore, connect: Connect) -> None:
    """Should the kernel not name the sender, nothing is done."""
    client = connect()
    served.ask(
        lambda: [
            each._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            for each in served.server._reception._clients
        ]
    )
    client.send(encode("List"))
    with pytest.raises(ErrorReply) as told:
        client.reply()

    assert told.value.identifier == "InvalidArgument"
    assert client.ends()


@needs_root
def test_a_user_may_have_so_many_connections(served: ServedStore, client: RawClient) -> None:
    """One user's connections are bounded, and he is told the number; another user still gets in."""
    text = """
clients = []
try:
    for _ in range(300):
        clients.append(RawClient(sys.argv[1]))
        clients[-1].call("Status")
except ErrorReply as error:
    print(error.identifier, len(clients) - 1, error.parameters['message'])
"""

    most = budget(4096).connections.per_uid

    assert f"Overloaded {most} uid {OTHER} has {most} connections, as many as one user may have" == run_as(
        OTHER, text, served.path
    )
    assert client.call("List") == {"entries": []}
