"""What is sent to the service as something else than it is holds up nobody."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fdstorefs.client import host as client
from fdstorefs.errors import BadDescriptor
from fdstorefs.host import procfs
from tests.mount.host.container import Container
from tests.mount.host.service import Service, held
from tests.unit.host.hostile_fuse import hostile_mount

PATIENCE_SECONDS = 10


@contextmanager
def never_closed(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a file whose file system never answers when it is closed, for as long as it is mounted."""
    with hostile_mount(tmp_path / "hostile") as path:
        hostile = os.open(path, os.O_RDWR)
        yield hostile
    with suppress(OSError):  # it is unmounted
        os.close(hostile)


def test_a_root_directory_that_is_none(
    service: Callable[..., Service], container: Callable[..., Container], tmp_path: Path
) -> None:
    """It is refused, and the service answers the next."""
    host, inside = service(), container()
    with never_closed(tmp_path) as hostile, held(inside.pid) as pidfd:
        with pytest.raises(BadDescriptor):
            client.call(
                host.socket, "Start", {"process": 0, "root": 1}, (pidfd, hostile), patience=PATIENCE_SECONDS
            )
        told = client.call(host.socket, "Status", {}, patience=PATIENCE_SECONDS)

    assert host.pid == told["pid"]


@pytest.mark.parametrize("place", range(4), ids=["ends", "users", "mounts", "root"])
def test_a_container_that_is_none(
    service: Callable[..., Service], container: Callable[..., Container], tmp_path: Path, place: int
) -> None:
    """A server that asks for a keeper may be somebody else's by now."""
    host, inside = service(), container()
    line, its = socket.socketpair()
    namespaces = [procfs.open_namespace(kind, inside.pid) for kind in ("user", "mnt")]
    root = procfs.open_root(inside.pid)
    with never_closed(tmp_path) as hostile, held(inside.pid) as pidfd, line, its:
        container_of = [pidfd, *namespaces, root]
        container_of[place] = hostile
        with pytest.raises(BadDescriptor):
            client.call(
                host.socket,
                "Keep",
                {"instance": "some", "line": 0, "container": [1, 2, 3, 4]},
                (its.fileno(), *container_of),
                patience=PATIENCE_SECONDS,
            )
    for descriptor in (*namespaces, root):
        os.close(descriptor)

    assert host.pid == client.status(host.socket).pid
