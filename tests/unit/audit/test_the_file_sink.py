"""A file of whole lines, through rotation, crashes and full disks."""

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.sinks.file import FileSink
from fdstorefs.audit.sinks.stderr import StderrSink
from fdstorefs.audit.sinks.stream import LineWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def sink(path: Path) -> Iterator[FileSink]:
    """A sink for it, open."""
    sink = FileSink(str(path), durable=True)
    sink.open()
    yield sink
    sink.close()


def lines(*names: str) -> list[bytes]:
    """Lines to write."""
    return [f"{name}\n".encode() for name in names]


def test_a_new_file_is_for_the_owner_and_the_group(path: Path) -> None:
    """Mode 0640, less the umask, and no program that is started inherits it."""
    former = os.umask(0o002)
    sink = FileSink(str(path))
    sink.open()
    os.umask(former)

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    assert not os.get_inheritable(sink._fd)
    sink.close()


def test_lines_are_appended(sink: FileSink, path: Path) -> None:
    """To what is there, also by somebody else in between."""
    assert (1, None) == sink.write(lines("one"))
    with path.open("a") as other:
        other.write("other\n")
    assert (2, None) == sink.write(lines("two", "three"))

    assert "one\nother\ntwo\nthree\n" == path.read_text()


def test_a_renamed_file_is_let_go(sink: FileSink, path: Path) -> None:
    """What comes after the rename goes to a new file: logrotate's way."""
    sink.write(lines("before"))
    path.rename(path.with_suffix(".1"))
    sink.write(lines("after"))

    assert "before\n" == path.with_suffix(".1").read_text()
    assert "after\n" == path.read_text()


def test_a_file_made_in_its_place_is_used(sink: FileSink, path: Path) -> None:
    """logrotate's `create`."""
    path.rename(path.with_suffix(".1"))
    path.touch()
    sink.write(lines("after"))

    assert "after\n" == path.read_text()


def test_a_deleted_file_is_made_again(sink: FileSink, path: Path) -> None:
    """Nothing is written to a file without a name."""
    sink.write(lines("before"))
    path.unlink()
    sink.write(lines("after"))

    assert "after\n" == path.read_text()


def test_a_file_emptied_in_place_goes_on(sink: FileSink, path: Path) -> None:
    """logrotate's `copytruncate`: no hole of zeroes before the next line."""
    sink.write(lines("before"))
    os.truncate(path, 0)
    sink.write(lines("after"))

    assert "after\n" == path.read_text()


def test_a_line_that_a_crash_left_unfinished_is_ended(path: Path) -> None:
    """It spoils no other."""
    path.write_text('whole\n{"half":')
    sink = FileSink(str(path))
    sink.open()
    sink.write(lines("next"))
    sink.close()

    assert 'whole\n{"half":\nnext\n' == path.read_text()


def test_a_directory_that_is_gone_and_comes_back(sink: FileSink, path: Path) -> None:
    """An error while it is gone, and the lines go into a new file afterwards."""
    hidden = path.parent.with_name("hidden")
    path.parent.rename(hidden)
    taken = sink.write(lines("lost"))
    path.parent.mkdir()

    assert 0 == taken.lines
    assert isinstance(taken.error, FileNotFoundError)
    assert (1, None) == sink.write(lines("found"))
    assert "found\n" == path.read_text()


@pytest.mark.parametrize("make", ["symlink", "fifo", "directory", "missing directory"])
def test_only_a_regular_file_will_do(tmp_path: Path, make: str) -> None:
    """Neither a symbolic link, which another could have put there, nor anything that would block."""
    path = tmp_path / "there"
    if make == "symlink":
        (tmp_path / "goal").touch()
        path.symlink_to("goal")
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "directory":
        path.mkdir()
    else:
        path = path / "below"
    open_before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(OSError, match="there"):
        FileSink(str(path)).open()

    assert open_before == len(os.listdir("/proc/self/fd"))


def test_a_full_disk_leaves_whole_lines_and_loses_none(sink: FileSink, path: Path) -> None:
    """What did not fit is told, the torn line is ended once there is room, and written again whole."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    taken = sink.write(lines("first", "second", "third"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    rest = lines("first", "second", "third")[taken.lines :]

    assert (1, errno.EFBIG) == (taken.lines, taken.error and taken.error.errno)
    assert (2, None) == sink.write(rest)
    assert "first\nseco\nsecond\nthird\n" == path.read_text()


def test_a_small_file_system_that_is_full(tmp_path: Path) -> None:
    """ENOSPC as the kernel gives it, and again room after something was deleted."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    program = (
        "import sys; from fdstorefs.audit.sinks.file import FileSink\n"
        "import os; sink = FileSink(sys.argv[1] + '/log'); sink.open()\n"
        "open(sys.argv[1] + '/ballast', 'wb').write(bytes(40960))\n"
        "lines = [b'x' * 4999 + b'\\n'] * 10\n"
        "taken = sink.write(lines); print(taken.lines, taken.error.errno)\n"
        "os.unlink(sys.argv[1] + '/ballast'); print(*sink.write(lines[taken.lines:]))\n"
        "found = open(sys.argv[1] + '/log', 'rb').read().split(b'\\n')\n"
        "print(sum(each == b'x' * 4999 for each in found), len(found) <= 12)\n"
    )
    script = f'mount -t tmpfs -o size=64k tmpfs {mounted} && exec $PYTHON -c "$PROGRAM" {mounted}'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env=os.environ | {"PYTHON": sys.executable, "PROGRAM": program},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    first, second, third = done.stdout.splitlines()
    assert (4, errno.ENOSPC) == tuple(map(int, first.split()))
    assert "6 None" == second
    assert "10 True" == third


def test_a_file_that_cannot_be_synced_is_an_error(sink: FileSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are there all the same, and must not be written twice."""
    each = FileSink(sink._path, sync_each=True)
    monkeypatch.setattr(os, "fdatasync", lambda _fd: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    taken = each.write(lines("one", "two"))
    each.close()

    assert 2 == taken.lines
    assert errno.EIO == (taken.error and taken.error.errno)


@given(
    texts=st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"") + b"\n"), max_size=20),
    room=st.lists(st.integers(0, 40), max_size=30),
    most=st.integers(1, 100),
)
def test_short_writes_and_errors_tear_at_most_a_line(texts: list[bytes], room: list[int], most: int) -> None:
    """Whatever the kernel takes at a time (0: an error), every line arrives whole and in order, between torn ones."""
    arrived = bytearray()
    left = list(room)

    def narrow_write(_fd: int, data: bytes) -> int:
        size = left.pop(0) if left else len(data)
        if size == 0 and data:
            raise OSError(errno.ENOSPC, "full")
        arrived.extend(data[:size])
        return min(size, len(data))

    writer, todo = LineWriter(most), texts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fdstorefs.audit.sinks.stream.os", SimpleNamespace(write=narrow_write))
        while todo:
            todo = todo[writer.write(-1, todo).lines :]

    found = iter([each + b"\n" for each in bytes(arrived).split(b"\n")])
    assert all(text in found for text in texts)
    assert not writer.torn


def test_standard_error_gets_whole_lines() -> None:
    """A pipe takes each line of up to 4 KiB in one piece."""
    reader, writer = os.pipe()
    sink = StderrSink(writer)
    sink.open()
    taken = sink.write(lines("one", "two"))
    sink.close()
    found = os.read(reader, 100)
    os.close(reader)
    broken = sink.write(lines("three"))
    os.close(writer)

    assert (2, None) == taken
    assert b"one\ntwo\n" == found
    assert 0 == broken.lines
    assert isinstance(broken.error, BrokenPipeError)
