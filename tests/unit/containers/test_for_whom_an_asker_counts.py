"""A container counts as one, a server on record has its own place, and root of the host is counted with nobody."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from fdstorefs.containers.asker import Asker
from fdstorefs.containers.places import Kind, Standing
from fdstorefs.host import procfs
from fdstorefs.host.user_namespaces import HeldNamespace

UID = 1234
_USERS, _MOUNTS = "syscalls.CLONE_NEWUSER", "syscalls.CLONE_NEWNS"
_ASKING = """
import os, socket, sys
from fdstorefs.host import syscalls
asking = socket.socket(socket.AF_UNIX)
uid, address, *steps = sys.argv[1:]
os.setresgid(*[int(uid)] * 3)
os.setresuid(*[int(uid)] * 3)
syscalls.set_dumpable(True)
for step in steps:
    syscalls.unshare(eval(step))
    if "USER" in step:
        for name, words in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{uid} {uid} 1"):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(words)
asking.connect("\\0" + address)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


class Asking(NamedTuple):
    """Somebody who is connected, and his number."""

    standing: Standing
    pid: int


Ask = Callable[..., Asking]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Have somebody connect: a user, after he has unshared namespaces."""
    with ExitStack() as ending:
        listening = ending.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind("")
        listening.listen()
        listening.settimeout(30)
        address = listening.getsockname()[1:].decode()

        def made(*steps: str, uid: int = UID, serves: bool = False, ends: bool = False) -> Asking:
            argv = [sys.executable, "-c", _ASKING, str(uid), address, *steps]
            process = ending.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE))
            connected, _ = listening.accept()
            if ends:
                process.communicate()
            asker = Asker(connected, lambda pid: serves and pid == process.pid)
            ending.callback(asker.close)
            ending.callback(connected.close)
            return Asking(asker.standing, process.pid)

        yield made


def test_root_of_the_host(ask: Ask) -> None:
    """In the mount namespace of the service."""
    assert Standing(Kind.ROOT, 0) == ask(uid=0).standing


def test_a_user_of_the_host(ask: Ask) -> None:
    """Though he says that he serves, or is in a user namespace of his own."""
    user = Standing(Kind.USER, UID)

    assert [user] * 3 == [ask().standing, ask(_USERS).standing, ask(serves=True).standing]


def test_a_server_on_record(ask: Ask) -> None:
    """In its container's user namespace, and in the host's mount namespace, where nobody of the container gets."""
    server = ask(_USERS, serves=True)

    assert Standing(Kind.SERVER, server.pid) == server.standing


def test_a_container_with_users_of_its_own(ask: Ask) -> None:
    """And all namespaces that are made in there."""
    plain, nested = ask(f"{_USERS} | {_MOUNTS}"), ask(f"{_USERS} | {_MOUNTS}", _USERS, serves=True)

    assert Standing(Kind.CONTAINER, procfs.namespace("user", plain.pid) or 0) == plain.standing
    namespaces = HeldNamespace(procfs.open_namespace("user", nested.pid)).numbers
    assert 3 == len(namespaces)
    assert Standing(Kind.CONTAINER, namespaces[1]) == nested.standing


def test_a_container_with_the_users_of_the_host(ask: Ask) -> None:
    """Its root is not the host's."""
    root = ask(_MOUNTS, uid=0)

    assert Standing(Kind.CONTAINER, procfs.namespace("mnt", root.pid) or 0) == root.standing


def test_who_has_ended(ask: Ask) -> None:
    """Nobody knows where he was, and nothing is kept for him."""
    assert Standing(Kind.USER, 0) == ask(uid=0, ends=True).standing
