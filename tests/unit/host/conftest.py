"""Descriptors that a test opens are closed after it; what a test needs of the machine is said by name."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.host.hostile_fuse import hostile_mount

Keep = Callable[[int], int]


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Take note of a descriptor: it is closed when the test is over."""
    kept: list[int] = []

    def note(fd: int) -> int:
        kept.append(fd)
        return fd

    yield note
    for fd in kept:
        os.closerange(fd, fd + 1)  # a file of a server that was taken down reports that on close


@pytest.fixture
def root() -> None:
    """The test mounts, or enters namespaces."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount and to enter namespaces")


@pytest.fixture
def fuse_device(root: None) -> None:
    """The test mounts a FUSE file system of its own."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("needs /dev/fuse: load the kernel module `fuse`")


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every user can reach; tmp_path is for root only."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def hostile_file(keep: Keep, fuse_device: None, tmp_path: Path) -> Iterator[Path]:
    """A file whose FUSE server answers nothing after open. Taken down before what was kept is closed."""
    with hostile_mount(tmp_path / "hostile") as path:
        yield path
