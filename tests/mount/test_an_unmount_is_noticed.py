"""That the last mount of a file system is gone is noticed, whatever else is mounted, and whatever goes wrong."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fdstorefs.host import procfs, syscalls
from fdstorefs.server import doorway
from fdstorefs.server.doorway import MountWatch
from fdstorefs.server.loop import Loop

PATIENCE = 10.0

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

Mount = Callable[[str], Path]


class Watched:
    """A watch over a file system in a loop of the test's own; `noticed` counts the calls."""

    def __init__(self, device: int) -> None:
        self.loop = Loop()
        self.noticed = 0
        self.watch = MountWatch(self.loop, procfs.open_mountinfo(), device, self._gone)

    def _gone(self) -> None:
        self.noticed += 1
        self.loop.stop()

    def run(self) -> int:
        """Run until it is noticed, or for so long. Returns how often that was until now."""
        timer = self.loop.call_at(time.monotonic() + PATIENCE, self.loop.stop)
        self.loop.run()
        timer.cancel()
        return self.noticed

    def turn(self) -> int:
        """Run until what has happened by now was seen. Returns how often it was noticed until now."""
        # What is posted is called in the turn in which it wakes the loop up; stopping takes effect after one more.
        self.loop.post(lambda: self.loop.call_soon(self.loop.stop))
        self.loop.run()
        return self.noticed

    def close(self) -> None:
        """End all."""
        self.watch.close()
        self.loop.close()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system on a new directory with this name; it is unmounted after the test if it is there still."""
    with ExitStack() as stack:

        def make(name: str) -> Path:
            path = tmp_path / name
            path.mkdir()
            syscalls.mount("tmpfs", path, "tmpfs")
            stack.callback(unmount_if_mounted, path)
            return path

        yield make


@pytest.fixture
def watched(mount: Mount) -> Iterator[tuple[Watched, Path]]:
    """A watch, and where what it watches over is mounted."""
    path = mount("watched")
    made = Watched(path.stat().st_dev)
    yield made, path
    made.close()


def unmount(path: Path) -> None:
    """Unmount it."""
    syscalls.umount2(path, syscalls.UMOUNT_NOFOLLOW)


def unmount_if_mounted(path: Path) -> None:
    """Unmount it unless the test did."""
    if os.path.ismount(path):
        unmount(path)


@pytest.mark.parametrize("name", ["a", "a\rb", "a\x0bb", "a\x85b", "a\r0:1 0:2 - b"])
def test_whatever_else_is_mounted(watched: tuple[Watched, Path], mount: Mount, name: str) -> None:
    """A mount point with another end of a line in its name is one of many, and the watch goes on."""
    watch, path = watched
    other = mount(name)
    before = watch.turn()
    unmount(other)
    between = watch.turn()
    unmount(path)

    assert (0, 0, 1) == (before, between, watch.run())


def test_a_table_that_cannot_be_read_is_looked_at_again(
    watched: tuple[Watched, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel tells of the change once, and then there may be no memory, or no descriptor left."""
    watch, path = watched
    read_all, failures = procfs.read_all, [OSError(12, "out of memory")]

    def fail_once(fd: int) -> bytes:
        if failures:
            raise failures.pop()
        return read_all(fd)

    monkeypatch.setattr(doorway, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(procfs, "read_all", fail_once)
    unmount(path)

    assert (1, []) == (watch.run(), failures)
    assert "out of memory" in caplog.text


def test_a_table_that_is_not_understood_is_no_sign(
    watched: tuple[Watched, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing in it may be there."""
    watch, path = watched
    with monkeypatch.context() as patch:
        patch.setattr(procfs, "read_all", lambda _fd: b"not a line of a mount table\n")
        unmount(path)
        before = watch.turn()
    # The next change, whatever it is, is looked at with what is understood.
    syscalls.mount("tmpfs", path, "tmpfs")
    unmount(path)

    assert (0, 1) == (before, watch.run())
