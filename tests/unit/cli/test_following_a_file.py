"""Following a file that grows: every line, once, through rotation and truncation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.cli.following import follow


class _Enough(Exception):
    """There is nothing left to do."""


def followed(path: Path, *steps: Callable[[], object]) -> list[bytes]:
    """The lines that appear while these steps are taken, one whenever there is nothing to read."""
    left = list(steps)

    def wait() -> None:
        if not left:
            raise _Enough
        left.pop(0)()

    lines: list[bytes] = []
    with pytest.raises(_Enough):
        lines.extend(follow(str(path), path.open("rb"), wait))
    return lines


def append(path: Path, text: bytes) -> Callable[[], object]:
    """The step that writes more into a file."""

    def step() -> None:
        with path.open("ab") as file:
            file.write(text)

    return step


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with a line in it."""
    path = tmp_path / "log"
    path.write_bytes(b"1\n")
    return path


def test_lines_as_they_come(log: Path) -> None:
    """Those that are there, then each new one."""
    assert [b"1\n", b"2\n", b"3\n", b"4\n"] == followed(log, append(log, b"2\n3\n"), append(log, b"4\n"))


def test_a_line_in_pieces(log: Path) -> None:
    """Is a line when it ends."""
    assert [b"1\n", b"23\n"] == followed(log, append(log, b"2"), append(log, b"3\n"))


def test_a_rotation(log: Path) -> None:
    """The rest of the old file, then the new one."""

    def rotate() -> None:
        append(log, b"2\n")()
        log.rename(log.with_suffix(".1"))
        log.write_bytes(b"3\n")

    assert [b"1\n", b"2\n", b"3\n", b"4\n"] == followed(log, rotate, append(log, b"4\n"))


def test_a_moment_without_a_file(log: Path) -> None:
    """Between two steps of a rotation."""
    rotated = log.with_suffix(".1")
    steps = [lambda: log.rename(rotated), append(rotated, b"2\n"), append(log, b"3\n")]

    assert [b"1\n", b"2\n", b"3\n"] == followed(log, *steps)


def test_a_file_that_is_written_anew(log: Path) -> None:
    """As after a rotation by copy and truncation."""
    longer = append(log, b"a longer line\n")

    assert [b"1\n", b"a longer line\n", b"2\n"] == followed(log, longer, lambda: log.write_bytes(b"2\n"))


def test_a_last_line_that_breaks_off(log: Path) -> None:
    """Is told, because the file that follows says nothing of it."""

    def rotate() -> None:
        append(log, b"bro")()
        log.rename(log.with_suffix(".1"))
        log.write_bytes(b"3\n")

    assert [b"1\n", b"bro", b"3\n"] == followed(log, rotate)
