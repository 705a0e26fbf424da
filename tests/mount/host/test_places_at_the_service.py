"""Who connects to the service, says nothing or asks for much keeps nobody else out."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from fdstorefs.client import host as client
from fdstorefs.containers.places import CALLS_OF_ONE, CONNECTIONS_OF_ONE
from tests.mount.host.container import Container
from tests.mount.host.service import Service

_OTHER = "/run/other"


def test_who_is_idle_gives_way(service: Callable[..., Service], container: Callable[..., Container]) -> None:
    """All places of one container are taken, by connections without a call or with half of one."""
    host, inside = service(), container()
    connect(inside, host, "b'{' * (number % 2)")

    assert f'"pid":{host.pid}' in ask_status(inside, host)


def test_root_keeps_itself_in(service: Callable[..., Service]) -> None:
    """It has no fewer places than anybody else, whatever it has open."""
    host = service()
    with ExitStack() as connections:
        for number in range(CONNECTIONS_OF_ONE + 1):
            idle = connections.enter_context(socket.socket(socket.AF_UNIX))
            idle.connect(host.socket)
            idle.send(b"{" * (number % 2))

        assert host.pid == client.status(host.socket).pid


@pytest.mark.parametrize("users", [True, False], ids=["its own users", "the host's users"])
def test_calls_of_one_container_keep_nobody_out(
    service: Callable[..., Service], container: Callable[..., Container], users: bool
) -> None:
    """As many as it likes, that take as long as they may: no more than so many are begun, and the rest is told so."""
    host, inside = service(), container(users=users)
    with calls_that_last(host, inside):
        assert CALLS_OF_ONE == still_last(inside)
        assert host.pid == client.status(host.socket).pid
        assert f'"pid":{host.pid}' in ask_status(inside, host)


def test_a_server_gets_another_keeper_all_the_same(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """Though it has the uid of those who take all places of its container."""
    host, inside = service(), container()
    former = host.start(inside)
    with calls_that_last(host, inside):
        os.kill(former.keeper, signal.SIGKILL)

        wait_for(
            lambda: (
                former.keeper not in [each.keeper for each in host.instances() if each.mount == former.mount]
            ),
            what="another keeper",
        )
        assert CALLS_OF_ONE == still_last(inside)
    inside.stash("kept", "a word")

    assert "a word" == inside.read("kept")


@contextmanager
def calls_that_last(host: Service, inside: Container) -> Iterator[None]:
    """All that the container may have on connections of its own: to end an instance that does not end."""
    server = host.start(inside, _OTHER).server or 0
    os.kill(server, signal.SIGSTOP)
    call = b'{"method":"io.fdstorefs.Host.Stop","parameters":{"mount":"%s"}}\0' % _OTHER.encode()
    try:
        connect(inside, host, repr(call))
        inside.run(
            "import select\n"
            f"refused, lasting = {CONNECTIONS_OF_ONE - CALLS_OF_ONE}, list(connections)\n"
            "while refused and lasting:\n"
            "    for each in select.select(lasting, [], [])[0]:\n"
            "        lasting.remove(each)\n"
            "        refused -= b'Overloaded' in each.recv(4096)"
        )
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def still_last(inside: Container) -> int:
    """How many calls of the container were not refused, and have not been answered."""
    number: int = inside.ask("len(lasting) - len(select.select(lasting, [], [], 0)[0])")
    return number


def connect(inside: Container, host: Service, word: str) -> None:
    """Have the container connect as often as it may, and send this on each connection: an expression of its number."""
    inside.run(
        f"connections = [socket.socket(socket.AF_UNIX) for _ in range({CONNECTIONS_OF_ONE})]\n"
        "for number, each in enumerate(connections):\n"
        f"    each.connect({host.socket!r})\n"
        f"    each.send({word})"
    )


def ask_status(inside: Container, host: Service) -> str:
    """Have the container ask what the service is."""
    told: str = inside.run(
        "with socket.socket(socket.AF_UNIX) as asking:\n"
        f"    asking.connect({host.socket!r})\n"
        '    asking.send(b\'{"method":"io.fdstorefs.Host.Status"}\\0\')\n'
        "    answer = asking.recv(4096).decode()"
    )
    return told
