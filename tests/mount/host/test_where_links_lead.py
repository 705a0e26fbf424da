"""Wherever the links of a container lead, its instance is mounted in the container."""

import os
from collections.abc import Callable

import pytest

from fdstorefs.client.host import NotStarted
from fdstorefs.host import procfs
from tests.mount.cast import Cast
from tests.mount.host.container import Container
from tests.mount.host.service import Service

LINKS = {
    "to an absolute path": ("/run/link", "{host}", "/run/link/fdstore"),
    "above the root": ("/run/link", "../../../../../../..{host}", "/run/link/fdstore"),
    "by a path with dots": (None, None, "/run/../../../../..{host}/fdstore"),
    "in a chain": ("/run/link", "/run/../run/other", "/run/link/fdstore"),
}


@pytest.mark.parametrize("way", LINKS, ids=[*LINKS])
def test_it_is_mounted_in_the_container_alone(
    service: Callable[..., Service], container: Callable[..., Container], cast: Cast, way: str
) -> None:
    """Links and dots are walked from the container's root, and the host's mount table never changes."""
    host, inside = service(), container()
    directory = cast.directory(None, "of-the-host-")
    os.chmod(directory, 0o755)
    link, to, mount = (text and text.format(host=directory) for text in LINKS[way])
    inside.run(
        f"import ctypes; assert not ctypes.CDLL(None).mount(b'tmpfs', {os.fsencode(directory)!r}, b'tmpfs', 0, 0)"
    )
    inside.run(f"os.mkdir('/run/other')\nif {link!r}: os.symlink({to!r}, {link!r})")
    before = procfs.mounts().mounts
    host.start(inside, mount)

    assert before == procfs.mounts().mounts
    assert [] == os.listdir(directory)
    assert inside.is_mounted("/run/other/fdstore" if way == "in a chain" else f"{directory}/fdstore")


@pytest.mark.parametrize("magic", ["/proc/self/root", "/proc/1/root", "/proc/1/cwd", "/proc/self/fd/0"])
def test_a_link_of_proc_is_not_followed(
    service: Callable[..., Service], container: Callable[..., Container], magic: str
) -> None:
    """Such links lead to whatever the kernel has open: none is taken, from whosever /proc."""
    host, inside = service(), container(pids=False)
    inside.run(f"os.symlink({magic!r}, '/run/link')")
    before = procfs.mounts().mounts

    with pytest.raises(NotStarted, match=r"too many levels of symbolic links|permission denied"):
        host.start(inside, "/run/link/fdstore")
    assert before == procfs.mounts().mounts


def test_a_link_that_leads_nowhere_is_an_error(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """It is neither followed to be made nor replaced."""
    host, inside = service(), container()
    inside.run("os.symlink('/run/nowhere/at/all', '/run/link')")

    with pytest.raises(NotStarted, match="no such file or directory"):
        host.start(inside, "/run/link")
    assert not inside.ask("os.path.exists('/run/nowhere')")


def test_what_is_below_a_new_root_is_found_there(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """For a process that has changed its root directory, paths begin there."""
    host, inside = service(), container()
    inside.run("os.mkdir('/run/jail'); os.chroot('/run/jail'); os.chdir('/')")
    started = host.start(inside, "/fdstore")

    assert "/fdstore" == started.mount
    assert [".fdstore"] == inside.ask("os.listdir('/fdstore')")


def test_a_path_of_no_container_is_refused(service: Callable[..., Service]) -> None:
    """A process in the host's mount namespace gets no instance by this way."""
    from fdstorefs.client import host as client
    from fdstorefs.errors import StoreError
    from tests.mount.host.service import held

    with held(os.getpid()) as pidfd, pytest.raises(StoreError, match="in no container"):
        client.start(pidfd, "/run/fdstore", service().socket)
