"""An instance ends when its container does, and leaves nothing."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.host import procfs
from tests.mount.host.container import Container
from tests.mount.host.service import Service, namespace_of

KINDS = ("user", "mnt", "pid")


def holders_of(namespaces: set[str]) -> list[int]:
    """The processes that are in one of these namespaces."""
    return [pid for pid in procfs.processes() if namespaces & set(_namespaces_of(pid))]


def openers_of(namespaces: set[str]) -> list[int]:
    """The processes that have one of these namespaces, or a file of the container's, open."""
    return [pid for pid in procfs.processes() if namespaces & _links_of(pid)]


def _namespaces_of(pid: int) -> list[str]:
    try:
        return [namespace_of(pid, kind) for kind in KINDS]
    except OSError:
        return []


def _links_of(pid: int) -> set[str]:
    try:
        return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


@pytest.mark.parametrize("pids", [True, False], ids=["its first process", "the process that was named"])
def test_it_ends_with_its_container(
    service: Callable[..., Service],
    container: Callable[..., Container],
    wait_for: Callable[..., None],
    pids: bool,
) -> None:
    """When that process ends, both of the instance's do, its record goes, and nobody holds a namespace any more."""
    host, inside = service(), container(pids=pids)
    namespaces = {namespace_of(inside.pid, kind) for kind in KINDS} - {
        namespace_of("self", kind) for kind in KINDS
    }
    host.start(inside)
    inside.stash("kept", "a word")
    inside.end()

    wait_for(lambda: not host.processes(), what="the instance to end")
    assert [] == host.records()
    # Who ends has no command line any more, and lets go of its files then.
    wait_for(lambda: not openers_of(namespaces), what="nobody to hold them")
    assert [] == holders_of(namespaces)
    assert [] == openers_of(namespaces)


def test_a_container_that_ends_while_no_server_runs_leaves_nothing(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """The keeper of a server that can't start again does not try for ever."""
    host, inside = service(), container()
    started = host.start(inside)
    os.kill(started.server or 0, 9)
    inside.end()

    wait_for(lambda: not host.processes(), what="the instance to end")
    assert [] == host.records()


def test_what_keeps_the_mount_is_told(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """A server that has to leave its mount behind says why."""
    host, inside = service(), container()
    started = host.start(inside)
    _, most = resource.prlimit(started.server or 0, resource.RLIMIT_NOFILE)
    resource.prlimit(started.server or 0, resource.RLIMIT_NOFILE, (3, most))
    host.stop(inside)

    assert inside.is_mounted()
    assert "is left mounted" in host.said()
    assert "Too many open files" in host.said()


def test_other_containers_go_on(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """What ends is the one whose container has ended."""
    host, one, other = service(), container(), container()
    host.start(one)
    stays = host.start(other)
    other.stash("kept", "a word")
    one.end()

    wait_for(lambda: [stays] == host.instances(), what="the one to end")
    assert "a word" == other.read("kept")
