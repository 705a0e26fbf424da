"""SIGKILL of any process of an instance, and of the service, loses nothing."""

import errno
import os
import signal
from collections.abc import Callable

from fdstorefs.client.host import Started
from tests.mount.host.container import Container, Inside
from tests.mount.host.service import Service

Wait = Callable[..., None]

MANY = 1100
"""More than select(2) has numbers for."""


def changed(host: Service, former: Started) -> Started | None:
    """The one instance, once both of its processes are there and one is another than before."""
    found = host.instances()
    if not found or found[0] == former or found[0].server is None:
        return None
    return found[0]


def serves(inside: Container, entries: int = 1) -> bool:
    """Whether the mount is served, with what was stored."""
    try:
        return entries == len(inside.entries())
    except Inside as error:
        assert errno.ENOTCONN == error.errno
        return False


def test_of_the_server(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Wait
) -> None:
    """Another one mounts again in the container, over the dead mount, and serves what was stored."""
    host, inside = service(), container()
    started = host.start(inside)
    inside.stash("kept", "a word")
    os.kill(started.server or 0, signal.SIGKILL)
    wait_for(lambda: changed(host, started) and serves(inside), what="another server")

    assert "a word" == inside.read("kept")
    assert started.keeper == host.instances()[0].keeper
    assert 1 == inside.mounts()


def test_of_the_server_of_more_files_than_select_can_number(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Wait
) -> None:
    """Neither another server's mount nor the end of it depends on the numbers that descriptors have by then."""
    host, inside = service(), container()
    started = host.start(inside)
    inside.run(
        f"for number in range({MANY}):\n"
        "    fd = os.memfd_create('kept')\n"
        "    with open(f'/run/fdstore/{number}', 'w') as entry: entry.write(str(fd))\n"
        "    os.close(fd)"
    )
    os.kill(started.server or 0, signal.SIGKILL)
    wait_for(lambda: changed(host, started) and serves(inside, MANY), what="another server")
    host.stop(inside)

    assert not inside.is_mounted()


def test_of_the_keeper(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Wait
) -> None:
    """The service gives the server another one, which has the service's rights, and which starts servers again."""
    host, inside = service(), container()
    started = host.start(inside)
    inside.stash("kept", "a word")
    os.kill(started.keeper, signal.SIGKILL)
    wait_for(lambda: changed(host, started) and "is gone; another" in host.said(), what="another keeper")
    second = host.instances()[0]
    os.kill(second.server or 0, signal.SIGKILL)
    wait_for(lambda: changed(host, second) and serves(inside), what="another server")

    assert os.geteuid() == os.stat(f"/proc/{second.keeper}").st_uid
    assert "a word" == inside.read("kept")
    host.stop(inside)

    assert not host.processes()


def test_of_the_service(service: Callable[..., Service], container: Callable[..., Container]) -> None:
    """What it has started goes on, and the next service knows it."""
    host, inside = service(), container()
    started = host.start(inside)
    inside.stash("kept", "a word")
    host.kill()

    assert "a word" == inside.read("kept")
    host.start_again()

    assert [started] == host.instances()
    assert started == host.start(inside)
    host.stop(inside)

    assert not host.processes()


def test_of_the_keeper_while_there_is_no_service(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Wait
) -> None:
    """The instance serves what it has, and has a keeper again as soon as there is a service again."""
    host, inside = service(), container()
    started = host.start(inside)
    inside.stash("kept", "a word")
    host.kill()
    os.kill(started.keeper, signal.SIGKILL)

    assert "a word" == inside.read("kept")
    host.start_again()
    wait_for(lambda: changed(host, started) and "is gone; another" in host.said(), what="another keeper")
    inside.stash("more", "another")

    assert ["kept", "more"] == inside.entries()


def test_of_everything(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Wait
) -> None:
    """Of both at once the dead mount is left, which the next instance there takes away."""
    host, inside = service(), container()
    started = host.start(inside)
    for pid in (started.keeper, started.server):
        os.kill(pid or 0, signal.SIGSTOP)
    for pid in (started.keeper, started.server):
        os.kill(pid or 0, signal.SIGKILL)
    wait_for(lambda: [] == host.instances(), what="their end")

    assert inside.is_mounted()
    host.start(inside)

    assert [] == inside.entries()
    assert 1 == inside.mounts()
