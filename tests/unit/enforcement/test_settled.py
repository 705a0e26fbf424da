"""Policies are read as they were at one moment, or once more."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.server.enforcement import policy_files, settled
from fdstorefs.server.enforcement.policy_files import PolicyFile
from fdstorefs.server.enforcement.settled import TRIES, Unsettled, read_settled

LONG_AGO = (1, 1)

Change = Callable[[Path], object]
Reading = Callable[[Change], list[str]]


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a link to one of policies, some of them behind links, and with another one."""
    monkeypatch.setattr(settled, "PAUSE_SECONDS", 0.0)
    for directory in ("1", "2", "1/..1", "1/..2"):
        (tmp_path / directory).mkdir(mode=0o755)
    for name in ("1/a.yaml", "1/b.yaml", "2/a.yaml", "2/b.yaml", "1/..1/c.yaml", "1/..2/c.yaml"):
        write(tmp_path / name, name)
    (tmp_path / "1/..data").symlink_to("..1")
    (tmp_path / "1/c.yaml").symlink_to("..data/c.yaml")
    (tmp_path / "current").symlink_to("1")
    for directory in ("1", "2"):
        os.utime(tmp_path / directory, LONG_AGO)
    return tmp_path


@pytest.fixture
def names_read() -> list[str]:
    """The names of the files that are read, in their order."""
    return []


@pytest.fixture
def reading(top: Path, names_read: list[str], monkeypatch: pytest.MonkeyPatch) -> Reading:
    """Reads the policies and changes something once, after the second was read. Returns what is taken to be there."""
    read = policy_files._read

    def make(change: Change) -> list[str]:
        def read_and_change(path: str, owners: policy_files.Owners) -> PolicyFile:
            found = read(path, owners)
            names_read.append(os.path.basename(path))
            if len(names_read) == 2:
                change(top)
            return found

        monkeypatch.setattr(policy_files, "_read", read_and_change)
        return [file.data.decode() for file in read_settled([str(top / "current")])]

    return make


def write(path: Path, text: str) -> None:
    """Write to it, and leave it as if that had been long ago."""
    path.write_text(text)
    path.chmod(0o644)
    os.utime(path, LONG_AGO)


def relink(link: Path, target: str) -> None:
    """Another link in the place of this one."""
    new = link.with_name("new")
    new.symlink_to(target)
    new.rename(link)


def exchange(top: Path) -> None:
    """The other directory under the name of the first."""
    (top / "1").rename(top / "was")
    (top / "2").rename(top / "1")


STATE = ["1/a.yaml", "1/b.yaml", "1/..1/c.yaml"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda top: (top / "1/a.yaml").write_text("same size"[:8]), ["same siz", *STATE[1:]]),
        (
            lambda top: (top / "1/b.yaml").write_text("longer than that"),
            [STATE[0], "longer than that", STATE[2]],
        ),
        (lambda top: write(top / "1/a2.yaml", "new"), [STATE[0], "new", *STATE[1:]]),
        (lambda top: (top / "1/a.yaml").unlink(), STATE[1:]),
        (lambda top: (top / "1/c.yaml").unlink(), STATE[:2]),
        (lambda top: (top / "1/..2/c.yaml").rename(top / "1/a.yaml"), ["1/..2/c.yaml", *STATE[1:]]),
        (lambda top: relink(top / "1/..data", "..2"), [*STATE[:2], "1/..2/c.yaml"]),
        (lambda top: relink(top / "current", "2"), ["2/a.yaml", "2/b.yaml"]),
        (exchange, ["2/a.yaml", "2/b.yaml"]),
    ],
    ids=[
        "written to, and as long as before",
        "written to",
        "added",
        "removed",
        "removed before it was read",
        "replaced",
        "a link on the way to a file swapped",
        "a link on the way to the directory swapped",
        "the directory exchanged",
    ],
)
def test_what_changes_meanwhile_is_read_again(reading: Reading, change: Change, expected: list[str]) -> None:
    """All of it as it is after the change."""
    assert expected == reading(change)


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "new").write_text("x"),
        lambda top: (top / "2/a.yaml").write_text("x"),
        lambda top: (top / "1/a.yaml").read_text(),
        lambda top: (top / "1/..2/c.yaml").write_text("x"),
    ],
    ids=["beside the link", "in another directory", "read by others", "behind no link"],
)
def test_what_has_nothing_to_do_with_them_makes_no_difference(
    reading: Reading, names_read: list[str], change: Change
) -> None:
    """They are read once."""
    assert STATE == reading(change)
    assert ["a.yaml", "b.yaml", "c.yaml"] == names_read


def test_what_is_wrong_counts_only_if_it_stands_still(top: Path) -> None:
    """A link that leads nowhere for a moment is none that is broken."""
    targets = iter(["nowhere", "..data/c.yaml"])

    def relink_twice() -> bool:
        for target in targets:
            relink(top / "1/c.yaml", target)
            break
        return False

    found = read_settled([str(top / "current")], relink_twice)

    assert STATE == [file.data.decode() for file in found]


def test_what_is_wrong_and_stands_still_is_said(top: Path) -> None:
    """At once."""
    (top / "1/b.yaml").chmod(0o666)

    with pytest.raises(PolicyError, match="can be written by others") as caught:
        read_settled([str(top / "current")])
    assert not isinstance(caught.value, Unsettled)


def test_ways_that_have_moved_are_reason_to_read_again(top: Path) -> None:
    """Whoever watches is asked before and after each reading; the first answer is of what was before."""
    answers = [True, True, True, False]
    found = read_settled([str(top / "current")], lambda: answers.pop(0))

    assert (STATE, []) == ([file.data.decode() for file in found], answers)


def test_it_is_tried_a_few_times(top: Path) -> None:
    """Then nothing is taken to be there."""
    answers = [True] * 2 * TRIES

    with pytest.raises(Unsettled):
        read_settled([str(top / "current")], answers.pop)
    assert [] == answers
