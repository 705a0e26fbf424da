"""The watch over policy files: whatever changes them is noticed, once for many changes, and little else is."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.server.enforcement.policy_watch import PolicyWatch
from fdstorefs.server.loop import Loop

PATIENCE = 20.0


class Watched:
    """A watch in a loop of the test's own; `noticed` counts the calls."""

    def __init__(self, *paths: Path) -> None:
        self.loop = Loop()
        self.noticed = 0
        self.watch = PolicyWatch(self.loop, [str(path) for path in paths], self._changed)
        self.watch.follow()

    def _changed(self) -> None:
        self.noticed += 1
        self.loop.stop()

    def run(self, patience: float = PATIENCE) -> int:
        """Run until it is noticed, or for so long. Returns how often that was until now."""
        timer = self.loop.call_at(time.monotonic() + patience, self.loop.stop)
        self.loop.run()
        timer.cancel()
        return self.noticed

    def close(self) -> None:
        """End all."""
        self.watch.end(in_use=False)
        self.loop.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of policies with one in it."""
    made = tmp_path / "policies"
    made.mkdir()
    (made / "a.yaml").write_text("a")
    return made


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    """Make watches; they end with the test."""
    made: list[Watched] = []

    def make(*paths: Path) -> Watched:
        made.append(Watched(*paths))
        return made[-1]

    yield make
    for each in made:
        each.close()


CHANGES: dict[str, Callable[[Path], object]] = {
    "written in place": lambda directory: (directory / "a.yaml").write_text("b"),
    "another mode": lambda directory: (directory / "a.yaml").chmod(0o600),
    "removed": lambda directory: (directory / "a.yaml").unlink(),
    "renamed": lambda directory: (directory / "a.yaml").rename(directory / "b.yaml"),
    "replaced": lambda directory: (directory / "a.new").rename(directory / "a.yaml"),
    "the directory moved": lambda directory: directory.rename(f"{directory}-moved"),
    "the directory closed": lambda directory: directory.chmod(0o700),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("what", ["directory", "file"])
def test_every_change_is_noticed(
    watched: Callable[..., Watched], directory: Path, change: str, what: str
) -> None:
    """Of a directory of policies, and of a file that is named itself."""
    (directory / "a.new").write_text("new")
    each = watched(directory if what == "directory" else directory / "a.yaml")
    CHANGES[change](directory)

    assert each.run() == 1


def test_a_new_file_is_noticed(watched: Callable[..., Watched], directory: Path) -> None:
    """Whatever it is called: a link in the directory may lead through it."""
    each = watched(directory)
    (directory / "..data").symlink_to("nowhere")

    assert each.run() == 1


def test_what_a_link_leads_to_is_watched(watched: Callable[..., Watched], directory: Path) -> None:
    """Each link on the way and the file at its end."""
    there = directory.parent / "there"
    there.mkdir()
    (there / "b").write_text("b")
    (directory / "b.yaml").symlink_to(directory.parent / "way" / "b")
    (directory.parent / "way").symlink_to("there")
    each = watched(directory)
    (there / "b").write_text("c")

    assert each.run() == 1
    (directory.parent / "way").unlink()
    assert each.run() == 2


def test_a_path_that_is_missing_is_noticed_when_it_comes(
    watched: Callable[..., Watched], tmp_path: Path
) -> None:
    """From the first directory on that isn't there."""
    each = watched(tmp_path / "x" / "y" / "p.yaml")
    for number, path in enumerate(["x", "x/y", "x/y/p.yaml"], 1):
        (tmp_path / path).mkdir()

        assert each.run() == number
        assert each.watch.follow()
    assert not each.watch.follow()


def test_what_goes_on_beside_a_file_is_not_noticed(watched: Callable[..., Watched], directory: Path) -> None:
    """Others may be busy in the same directory."""
    each = watched(directory / "a.yaml")
    (directory / "b.yaml").write_text("b")
    (directory.parent / "elsewhere").mkdir()

    # Its own change, which comes after those, ends the waiting: had they been noticed, it would be the second.
    assert each.run(0.2) == 0
    (directory / "a.yaml").write_text("b")
    assert each.run() == 1


def test_many_changes_are_noticed_once(watched: Callable[..., Watched], directory: Path) -> None:
    """When it is quiet again."""
    each = watched(directory)
    for number in range(100):
        (directory / f"{number}.yaml").write_text("x")

    assert each.run() == 1
    assert each.run(0.2) == 1


def test_changes_that_never_end_are_noticed_even_so(watched: Callable[..., Watched], directory: Path) -> None:
    """It does not wait for quiet for ever."""
    each = watched(directory)

    def go_on() -> None:
        (directory / "a.yaml").write_text("x")
        each.loop.call_at(time.monotonic() + 0.01, go_on)

    go_on()

    assert each.run() == 1


def test_lost_events_are_a_change(
    watched: Callable[..., Watched], directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was lost may have been the one that counts. It is said."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("more events than a test should make")
    each = watched(directory / "a.yaml")
    (directory / "b").touch()
    (directory / "c").touch()
    with caplog.at_level(logging.WARNING):
        for _ in range(limit // 2 + 10):
            os.utime(directory / "b")
            os.utime(directory / "c")
        assert each.run() == 1

    assert "too fast to be followed" in caplog.text


def test_a_watch_that_ended_by_itself_is_not_missed(watched: Callable[..., Watched], directory: Path) -> None:
    """The directory is removed and made again, and then another one is in its place."""
    each = watched(directory)
    for number in (1, 2):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        directory.mkdir()

        assert each.run() == 2 * number - 1
        assert each.watch.follow()
        (directory / "a.yaml").write_text("a")
        assert each.run() == 2 * number
