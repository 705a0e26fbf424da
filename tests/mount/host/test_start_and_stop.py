"""An instance is started for a container on demand, and ended."""

import json
import os
import signal
from collections.abc import Callable

import pytest

from fdstorefs.client.host import NotStarted
from fdstorefs.errors import InvalidArgument, NoInstance, StoreError
from fdstorefs.host import procfs
from fdstorefs.host.task import Task
from tests.mount.host.container import Container
from tests.mount.host.service import Service


def test_a_container_stashes_and_retrieves(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """What is stashed in the container is read there again."""
    inside = container()
    service().start(inside)
    inside.stash("kept", "a word")

    assert "a word" == inside.read("kept")


def test_started_twice_it_is_the_same(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Who asks for one that serves is told which it is."""
    host, inside = service(), container()
    first = host.start(inside)

    assert first == host.start(inside)


def test_one_that_has_ended_is_not_told_of(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """Who unmounts it ends it, and is not told that it serves while its keeper has not noticed yet."""
    host, inside = service(), container()
    former = host.start(inside)
    os.kill(former.keeper, signal.SIGSTOP)
    try:
        inside.run("import ctypes; assert not ctypes.CDLL(None).umount2(b'/run/fdstore', 2)")
        wait_for(Task(former.server or 0).is_dead, what="the server to end")
        with pytest.raises(StoreError, match="is ending"):
            host.start(inside)
    finally:
        os.kill(former.keeper, signal.SIGCONT)
    wait_for(lambda: not host.instances(), what="the instance to end")

    assert former.server != host.start(inside).server


def test_two_mount_points_are_two_instances(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """A container may have one at each of several places."""
    host, inside = service(), container()
    host.start(inside)
    host.start(inside, "/run/other")
    inside.stash("kept", "a word", at="/run/other")

    assert [] == inside.entries()
    assert ["/run/fdstore", "/run/other"] == sorted(each.mount for each in host.instances())


def test_two_containers_are_separate(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """What one stashes the other does not see, though their users are the same on the host."""
    host, one, other = service(), container(), container()
    first, second = host.start(one), host.start(other)
    one.stash("kept", "a word")

    assert first.server != second.server
    assert [] == other.entries()


def test_ids_are_those_of_the_container(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Root of the container owns the instance, and each user there what he stashed."""
    inside = container()
    service().start(inside)
    inside.run("os.setegid(1001); os.seteuid(1000)")
    inside.stash("his", "a word")
    owner = inside.ask("[os.stat('/run/fdstore/his').st_uid, os.stat('/run/fdstore/his').st_gid]")

    assert [1000, 1001] == owner
    assert [0, 0] == inside.ask("[os.stat('/run/fdstore').st_uid, os.stat('/run/fdstore').st_gid]")


def test_its_socket_is_in_the_container(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """The container's processes connect to it there."""
    inside = container()
    service().start(inside)

    assert 0 == inside.errno_of("with socket.socket(socket.AF_UNIX) as s: s.connect('/run/fdstore/.fdstore')")


def test_nothing_is_mounted_on_the_host(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """The host's mount table is the same with it as without."""
    host, inside = service(), container()
    before = procfs.mounts().mounts
    host.start(inside)

    assert before == procfs.mounts().mounts


def test_stopped_nothing_is_left(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Its mount, its processes and its record are gone, and another can be started."""
    host, inside = service(), container()
    host.start(inside)
    inside.stash("kept", "a word")
    host.stop(inside)

    assert not inside.is_mounted()
    assert not host.processes()
    assert [] == host.instances()
    assert [] == host.records()
    host.start(inside)

    assert [] == inside.entries()


def test_the_container_may_unmount_it(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """Root of the container ends its instance by umount(8), as anybody does."""
    host, inside = service(), container()
    host.start(inside)
    inside.run("import ctypes; assert not ctypes.CDLL(None).umount2(b'/run/fdstore', 0)")

    wait_for(lambda: not host.processes(), what="the instance to end")
    assert [] == host.instances()


def test_what_is_not_there_cannot_be_stopped(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Who ends what nobody has started is told."""
    host, inside = service(), container()

    with pytest.raises(NoInstance):
        host.stop(inside)


@pytest.mark.parametrize("mount", ["run/fdstore", "/", "/.."])
def test_a_mount_point_is_an_absolute_path_below_the_root(
    service: Callable[..., Service], container: Callable[..., Container], mount: str
) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidArgument):
        service().start(container(), mount)


def test_why_it_does_not_come_up_is_told(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """The server's own words reach who asked, and nothing is left of it."""
    host, inside = service(), container()
    inside.run("open('/run/file', 'w').close()")

    with pytest.raises(NotStarted, match="`/run/file` in the container is not a directory"):
        host.start(inside, "/run/file")
    assert [] == host.instances()
    assert not host.processes()


def test_the_command_line_does_it(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """start, list and stop, as JSON and as a table."""
    host, inside = service(), container()
    started = host.ask("start", "--pid", str(inside.pid), "--json")
    listed = host.ask("list", "--json")
    table = host.ask("list").stdout.splitlines()
    stopped = host.ask("stop", "--pid", str(inside.pid))

    assert (0, 0, 0) == (started.returncode, listed.returncode, stopped.returncode), started.stderr
    assert [json.loads(started.stdout)] == json.loads(listed.stdout)
    assert ["PROCESS", "MOUNT", "UID", "KEEPER", "SERVER"] == table[0].split()
    assert [str(inside.pid), "/run/fdstore"] == table[1].split()[:2]
    assert not inside.is_mounted()


def test_a_hook_starts_what_the_annotation_names(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """An OCI runtime's hook gets the container's state on standard input."""
    host, inside = service(), container()
    state = {"ociVersion": "1.1.0", "id": "web", "status": "running", "pid": inside.pid, "bundle": "/b"}

    def hook(annotations: dict[str, str]) -> int:
        read, write = os.pipe()
        with os.fdopen(write, "w") as pipe:
            json.dump({**state, "annotations": annotations}, pipe)
        with os.fdopen(read) as standard_input:
            return host.ask("hook", stdin=standard_input).returncode

    assert 0 == hook({})
    assert not inside.is_mounted()
    assert 0 == hook({"io.fdstorefs.mount": "/run/fdstore"})
    assert inside.is_mounted()
