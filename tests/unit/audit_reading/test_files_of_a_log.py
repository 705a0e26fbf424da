"""The files of a log: packed or not, rotated or not, from the end or from the beginning."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit import log_files
from fdstorefs.audit.log_files import lines_of, open_log, windows_from_the_end, with_rotated


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_packed_or_not(tmp_path: Path, name: str) -> None:
    """The name tells."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"1\n2\n") if name.endswith(".gz") else b"1\n2\n")
    with open_log(str(path)) as file:
        assert [b"1\n", b"2\n"] == list(lines_of(file))


def test_what_rotation_left(tmp_path: Path) -> None:
    """With numbers or with dates, compressed or not; nothing else that looks like it."""
    rotated = ["a-20261120", "a-20261119.gz", "a-20261119-1.gz", "a-2026112014", "a.1", "a.2.gz", "a.10.gz"]
    for name in ("a", *rotated, "a.old", "a.1.tmp", "ab.1", "a.gz", "a-1", "a.d"):
        (tmp_path / name).touch()
    *found, current = with_rotated(str(tmp_path / "a"))

    assert {str(tmp_path / name) for name in rotated} == set(found)
    assert str(tmp_path / "a") == current


def test_what_rotation_left_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a directory is in this one."""
    (tmp_path / "a.1").touch()
    monkeypatch.chdir(tmp_path)

    assert ["a.1", "a"] == with_rotated("a")


@given(st.lists(st.binary(max_size=9).map(lambda text: text.replace(b"\n", b""))), st.integers(1, 12))
def test_from_the_end(lines: list[bytes], window: int) -> None:
    """Each window is more of the last whole lines, the last is all of them."""
    whole = [line + b"\n" for line in lines[:-1]]
    file = io.BytesIO(b"\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_files, "_FIRST_WINDOW", window)
        windows = list(windows_from_the_end(file))

    assert whole == windows[-1]
    assert all(each == whole[len(whole) - len(each) :] for each in windows)
    assert sorted(map(len, windows)) == list(map(len, windows))
    assert sum(map(len, whole)) == file.tell()
