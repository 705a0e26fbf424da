"""A server can't shed its role: what its children and threads do is done by the server."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import RoleKind, Slot, Tag
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.instance import Instance
from tests.kernel.people import ALICE, BOB

Start = Callable[..., Actor]

_RECEIVE_AND_HOLD = """
import os, socket
end = socket.socket(fileno={line})
_, found, _, _ = socket.recv_fds(end, 8, 1)
end.send(str(len(found)).encode())
end.recv(1)
"""


def in_a_child(line: int) -> None:
    """Have a child receive, which says how many descriptors it got and lives until the line is closed."""
    child = os.fork()
    if child == 0:
        with socket.socket(fileno=line) as end:
            found = socket.recv_fds(end, 8, 1)[1]
            end.send(str(len(found)).encode())
            end.recv(1)
            os._exit(0)
    os.close(line)


def in_a_program_of_a_threads(line: int) -> None:
    """Have a thread execute a program that does the same."""
    os.set_inheritable(line, True)
    program = [sys.executable, "-c", _RECEIVE_AND_HOLD.format(line=line)]
    threading.Thread(target=partial(os.execv, sys.executable, program)).start()


def in_a_grandchild(line: int) -> None:
    """Have a child's child receive."""
    if os.fork() == 0:
        in_a_child(line)
        os._exit(0)
    os.close(line)


def received_by(server: Actor, way: Callable[..., None], fd: int) -> tuple[bytes, socket.socket]:
    """How many descriptors came in what the server turned into, which goes on until the line is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        server.begin(way, descriptors=(theirs.fileno(),))
    socket.send_fds(ours, [b"x"], [fd])
    return ours.recv(8), ours


def test_what_a_child_receives(actor: Start, instance: Instance, alices: int) -> None:
    """Is tagged as what the server receives."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    got, line = received_by(server, in_a_child, alices)
    with line:
        assert (b"1", [Tag((Slot(instance.number, abi.NO_CLASSES),))]) == (
            got,
            list(instance.kernel.tagged()),
        )


def test_what_a_grandchild_receives(actor: Start, instance: Instance, alices: int) -> None:
    """However far away it is."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    got, line = received_by(server, in_a_grandchild, alices)
    with line:
        assert (b"1", [Tag((Slot(instance.number, abi.NO_CLASSES),))]) == (
            got,
            list(instance.kernel.tagged()),
        )


def test_a_thread_that_executes_a_program(actor: Start, instance: Instance, alices: int) -> None:
    """The process goes on under the thread's name, and is the server still."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    got, line = received_by(server, in_a_program_of_a_threads, alices)
    with line:
        assert (b"1", [Tag((Slot(instance.number, abi.NO_CLASSES),))]) == (
            got,
            list(instance.kernel.tagged()),
        )


def test_others_children(actor: Start, instance: Instance, alices: int) -> None:
    """Have no role, as their parents have none."""
    got, line = received_by(actor(BOB), in_a_child, alices)
    with line:
        assert (b"1", []) == (got, list(instance.kernel.tagged()))


def child_of_mine() -> int:
    """A child that does nothing until its parent has gone; its process id."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(theirs)
        os.read(ours, 1)
        os._exit(0)
    os.close(ours)
    return child


def test_a_childs_memory(actor: Start, instance: Instance) -> None:
    """Is the server's, and nobody's to look into."""
    server = actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    child = server.call(child_of_mine)
    alice = actor(ALICE)
    refused = None
    try:
        alice.call(acts.attach, child)
    except PermissionError as error:
        refused = error

    assert refused is not None
